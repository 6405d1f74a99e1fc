package relay

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestRestartOfNATSLosesCommits(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 20, 100)
	n.stop()
	done := make(chan error, 1)
	go func() { done <- h.put(20, 100) }()
	until(t, "the state says that the log is missing", func() bool { s := h.log.State(); return !s.Replicated && s.Problem != "" })
	select {
	case err := <-done:
		t.Fatalf("a commit returned without the log: %v", err)
	default:
	}
	if _, err := h.store.Record("test/1"); err != nil {
		t.Errorf("read: %v", err)
	}
	n.start()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.mustPut(21, 40, 100)
	until(t, "replication goes on", func() bool { return h.log.State().Replicated })
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestLostLogStopsTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	for _, how := range []string{"deleted", "created anew"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(dir, how+".db")
			c := n.connect()
			_ = c.js.DeleteStream(t.Context(), c.Names.LogStream()) // of the run before
			h := lead(t, n, path, LogOptions{Required: true})
			l, end := follow(t, n, path+".copy")
			h.mustPut(0, 20, 100)
			if err := c.js.DeleteStream(t.Context(), c.Names.LogStream()); err != nil {
				t.Fatal(err)
			}
			if how != "deleted" {
				// The server may still be removing the files of the deleted one, and refuse.
				until(t, "the log is created anew", func() bool { return c.declareLog(t.Context()) == nil })
			}
			h.mustPut(20, 21, 100)
			info, err := h.log.Newest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch at, _ := h.store.Position(); {
			case !info.Base:
				t.Error("info.Base = false, want true")
			case info.Position != at:
				t.Errorf("info.Position = %v, want %v", info.Position, at)
			}
			h.mustPut(21, 40, 100)
			if s := h.log.State(); !s.Replicated {
				t.Errorf("state: %+v", s)
			}
			h.same(l, end, path+".copy")
		})
	}
}

func TestIdleHubMissesThatItsLogIsLost(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	h.mustPut(0, 20, 100)
	if err := h.conn.js.DeleteStream(t.Context(), h.conn.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestBestEffortWaitsForNATS(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 20, 100)
	n.stop()
	h.mustPut(20, 40, 100)
	switch s := h.log.State(); {
	case s.Replicated:
		t.Error("without NATS: s.Replicated = true, want false")
	case s.Since.IsZero():
		t.Error("without NATS: s.Since is zero")
	}
	n.start()
	for i := 40; !h.log.State().Replicated; i++ { // it commits while the base is written
		h.mustPut(i, i+1, 100)
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
	again, end := follow(t, n, filepath.Join(dir, "new.db"))
	h.same(again, end, filepath.Join(dir, "new.db"))
}

// TestCopyAheadOfTheLogLeadsUnheld: the log has lost its end, and so may have lost more than the copy shows.
func TestCopyAheadOfTheLogLeadsUnheld(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 10, 100)
	h.same(l, end, copied)
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	_ = h.store.Close()
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := stream.CachedInfo().State.LastSeq
	for seq := last - 2; seq <= last; seq++ {
		if err := stream.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}

	f := openCopy(t, copied)
	if _, err := h.log.CatchUp(t.Context(), f, true); !errors.Is(err, ErrLogLost) {
		t.Errorf("catch up of a standby: %v, want %v", err, ErrLogLost)
	}
	if _, err := h.log.CatchUp(t.Context(), f, false); err != nil {
		t.Errorf("catch up of the hub's own store: %v", err)
	}
	f.Close()

	l, end = follow(t, n, copied)
	until(t, "the copy says why it isn't complete", func() bool {
		s := l.Following()
		return s.Complete || strings.HasPrefix(s.Problem, ErrLogLost.Error())
	})
	if s := l.Following(); s.Complete {
		t.Errorf("a copy ahead of the log is complete: %+v", s)
	}
	again := lead(t, n, h.path, LogOptions{Required: true})
	until(t, "the new base continues the copy", func() bool { return l.Following().Complete })
	again.mustPut(10, 20, 100)
	again.same(l, end, copied)
}

// TestIdleHubWritesABaseAndItsStandbyIsNeverReady: the new log has no set that the copy could wait for.
func TestIdleHubWritesABaseAndItsStandbyIsNeverReady(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 10, 100)
	h.same(l, end, copied)
	if err := h.conn.js.DeleteStream(t.Context(), h.conn.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	until(t, "the hub has written a base", func() bool {
		info, err := h.log.Newest(t.Context())
		return err == nil && info.Base && info.lastSet == 0
	})
	l, _ = follow(t, n, copied)
	until(t, "the copy is complete", func() bool { s := l.Following(); return s.Complete && s.Behind == 0 })
}
