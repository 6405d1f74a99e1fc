package relay

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
)

func TestDeposedHubCommits(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 10, 100)
	want, _ := h.store.Position()
	until(t, "the copy has everything", func() bool { return l.Following().Position == want })
	end()
	next := lead(t, n, filepath.Join(dir, "copy.db"), LogOptions{Required: true})
	next.mustPut(10, 20, 100)
	if err := h.put(20, 100); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("write of the old hub: %v, want %v", err, store.ErrDeposed)
	}
	if err := h.end(); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("run: %v, want %v", err, store.ErrDeposed)
	}
	<-h.store.Ended()
	_ = h.store.Close()

	// The old hub's store has a commit that the log lacks: it gets a base.
	f := openCopy(t, h.path)
	if _, err := next.log.CatchUp(t.Context(), f, false); !errors.Is(err, store.ErrGap) {
		t.Errorf("catch up: %v, want %v", err, store.ErrGap)
	}
	f.Close()
	l, end = follow(t, n, h.path)
	next.same(l, end, h.path)
}

func TestIdleHubMissesThatItWasDeposed(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	other := n.connect().NewLog(LogOptions{})
	info, err := other.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Fence(t.Context(), info, info.Position); err != nil {
		t.Fatal(err)
	}
	<-h.log.Deposed()
	if err := h.log.Err(); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("it ended with %v, want %v", err, store.ErrDeposed)
	}
}

func TestTwoHubsFence(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	info, err := h.log.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.mustPut(0, 1, 100)
	other := n.connect().NewLog(LogOptions{})
	if _, err := other.Fence(t.Context(), info, store.Position{}); !errors.Is(err, ErrLogMoved) {
		t.Errorf("fence: %v, want %v", err, ErrLogMoved)
	}
	h.mustPut(1, 2, 100)
}

// TestTakeoverReadsFromALaggingReplica: a stream that any replica may answer for is changed before it is read.
func TestTakeoverReadsFromALaggingReplica(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	l := c.NewLog(LogOptions{})
	_, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: c.Names.LogStream(), Subjects: []string{c.Names.LogAll()}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Newest(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := c.js.Stream(t.Context(), c.Names.LogStream())
	if err != nil {
		t.Fatal(err)
	}
	if stream.CachedInfo().Config.AllowDirect {
		t.Error("any replica answers for a stream of before")
	}
	if err := c.js.DeleteStream(t.Context(), c.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	if err := c.declareLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stream, err = c.js.Stream(t.Context(), c.Names.LogStream()); err != nil {
		t.Fatal(err)
	}
	if stream.CachedInfo().Config.AllowDirect {
		t.Error("any replica answers for a new stream")
	}
}

// TestFenceAfterAnIncompleteRead: CatchUp saw an earlier position, though the same sequence.
func TestFenceAfterAnIncompleteRead(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	h.mustPut(0, 5, 100)
	if err := h.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := n.connect().NewLog(LogOptions{})
	seen, err := other.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen.Position.Commit--
	if _, err := other.Fence(t.Context(), seen, seen.Position); !errors.Is(err, ErrLogMoved) {
		t.Errorf("fence: %v, want %v", err, ErrLogMoved)
	}
}

// blindStream is a stream that doesn't find its messages.
type blindStream struct{ jetstream.Stream }

func (blindStream) GetMsg(context.Context, uint64, ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	return nil, jetstream.ErrMsgNotFound
}

func TestMessageNotFoundIsTakenForAnotherPrograms(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	if err := h.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := h.log.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.log.recognize(t.Context(), blindStream{stream}, stream.CachedInfo().State.LastSeq); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("recognize: %v, want %v", err, jetstream.ErrMsgNotFound)
	}
}

// TestHubRestartsBehindItsLog: the hub died between the append and the commit on the disk.
func TestHubRestartsBehindItsLog(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "hub.db"), filepath.Join(dir, "copy.db")
	h := lead(t, n, path, LogOptions{Required: true})
	l, end := follow(t, n, copied)
	h.mustPut(0, 10, 100)
	want, _ := h.store.Position()
	until(t, "the copy has everything", func() bool { return l.Following().Position == want })
	end() // from here on it is a store that lacks the last sets
	h.mustPut(10, 20, 100)
	if err := h.log.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	again := lead(t, n, copied, LogOptions{Required: true})
	info, err := again.log.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.base.From > 1 {
		t.Errorf("a base was written after sequence %d, although the log continues the store", info.base.From)
	}
	h.equals2(again)
}

func TestClosedLogLetsCommitsWait(t *testing.T) {
	n := startLogServer(t, 0)
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	n.stop()
	done := make(chan error, 1)
	go func() { done <- h.put(1, 100) }()
	until(t, "the commit waits", func() bool { return !h.log.State().Replicated })
	h.log.Close()
	if err := <-done; !errors.Is(err, ErrLogClosed) {
		t.Errorf("commit: %v, want %v", err, ErrLogClosed)
	}
	n.start()
}

func TestRunFailsAndCommitsWaitForEver(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	l := c.NewLog(LogOptions{Required: true})
	c.Close()
	if err := l.Run(t.Context(), nil); err == nil {
		t.Error("it runs without a connection")
	}
	if err := l.Err(); !errors.Is(err, ErrLogClosed) {
		t.Errorf("commits: %v, want %v", err, ErrLogClosed)
	}
}
