package relay

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
)

// TestBaseOfALaterHubIsTakenForOlder: the log lost sets that the new hub lacks, so its base has fewer commits
// than the last set of the hub before it, which isn't purged. The new hub dies before its first commit.
func TestBaseOfALaterHubIsTakenForOlder(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	_, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: c.Names.LogStream(), Subjects: []string{c.Names.LogAll()}, DenyPurge: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 5, 100)
	want, _ := h.store.Position()
	until(t, "the copy has everything", func() bool { return l.Following().Position == want })
	end()
	h.mustPut(5, 50, 100)
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq < stream.CachedInfo().State.LastSeq; seq++ {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}

	later := fence(t, n, copied, LogOptions{Required: true}, true)
	later.run()
	at, err := later.store.Position()
	if err != nil {
		t.Fatal(err)
	}
	var info LogInfo
	until(t, "the log has a base", func() bool {
		info, err = later.log.Newest(t.Context())
		return err == nil && info.Base
	})
	if info.Position != at {
		t.Errorf("newest: got %s, want %s", info.Position, at)
	}
	if err := later.end(); err != nil {
		t.Fatal(err)
	}
	f := openCopy(t, filepath.Join(dir, "second.db"))
	if _, err := later.log.CatchUp(t.Context(), f, true); err != nil || f.Position() != at {
		t.Errorf("a new copy: got %s, %v, want %s", f.Position(), err, at)
	}
}

// TestHubKilledInItsFirstCommitIsTakenForOlder: its store has the epoch of its fence, and the log no set of it.
func TestHubKilledInItsFirstCommitIsTakenForOlder(t *testing.T) {
	n := startLogServer(t, 0)
	path := filepath.Join(t.TempDir(), "hub.db")
	h := lead(t, n, path, LogOptions{Required: true})
	h.mustPut(0, 5, 100)
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	_ = h.store.Close()
	again := lead(t, n, path, LogOptions{Required: true})
	if err := again.end(); err != nil {
		t.Fatal(err)
	}
	_ = again.store.Close()
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), stream.CachedInfo().State.LastSeq); err != nil { // the set of its first commit
		t.Fatal(err)
	}
	f := openCopy(t, path)
	if _, err := h.log.CatchUp(t.Context(), f, false); err != nil {
		t.Errorf("catch up after a fence of its own: got %v, want none", err)
	}
	if err := stream.DeleteMsg(t.Context(), stream.CachedInfo().State.LastSeq-1); err != nil { // the fence
		t.Fatal(err)
	}
	if _, err := h.log.CatchUp(t.Context(), f, false); !errors.Is(err, ErrLogLost) {
		t.Errorf("catch up with a log that lost its last fence: got %v, want %v", err, ErrLogLost)
	}
	if at := f.Position(); at == (store.Position{}) {
		t.Error("the store's position is zero")
	}
}
