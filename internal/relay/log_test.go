package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/store"
)

func TestCopyEqualsTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.mustPut(0, 300, 100)
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestWriteSetsAreLostAtTheSizeOfAMessage(t *testing.T) {
	n := startLogServer(t, 16<<10)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	for i := range 20 {
		if err := h.store.PutRecord(fmt.Sprintf("test/%d", i), []byte(noise(i, 1<<17))); err != nil {
			t.Fatal(err)
		}
	}
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

// TestBaseLosesWrites writes bases all the time, while the hub commits and copies begin, end and resume.
func TestBaseLosesWrites(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true, BaseAfter: 1 << 10})
	h.log.mu.Lock()
	h.log.baseSize = 0
	h.log.mu.Unlock()
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				if err := h.put(3*i+w, 500); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 4 {
		path := filepath.Join(dir, fmt.Sprintf("copy%d.db", i%2)) // the later ones resume
		l, end := follow(t, n, path)
		until(t, "the copy follows", func() bool {
			s := l.Following()
			return s.Complete && s.Behind < 5 && s.Position.Commit > uint64(100*i)
		})
		end()
	}
	stop.Store(true)
	writers.Wait()
	for i := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("copy%d.db", i))
		l, end := follow(t, n, path)
		h.same(l, end, path)
	}
	info, err := h.log.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.first == 1 {
		t.Error("nothing was purged")
	}
}

// TestKilledStandbyDamagesItsCopy kills a process that follows, in bases and in sets.
func TestKilledStandbyDamagesItsCopy(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true, BaseAfter: 1 << 10})
	var stop atomic.Bool
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := 0; !stop.Load(); i++ {
			if err := h.put(i, 2000); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 6 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), asFollower+"="+path, followerNATS+"="+h.conn.Server())
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			until(t, "it receives a base", func() bool { return exists(path+".base") || exists(path) })
		} else {
			begun := modified(t, path)
			until(t, "it applies sets", func() bool { return modified(t, path).After(begun) })
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // it was killed
	}
	stop.Store(true)
	writers.Wait()
	l, end := follow(t, n, path)
	h.same(l, end, path)
}

// TestStandbyOfABusyHubIsNeverReady: between two sets it looks at the log, in which there is always one more by then.
func TestStandbyOfABusyHubIsNeverReady(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	r := &logReader{log: h.log, f: openCopy(t, filepath.Join(dir, "copy.db")), note: func(uint64, time.Time) {}}
	for i := range 3 {
		h.mustPut(i, i+1, 100)
		info, err := h.log.Newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.seen = info.lastSet - 1
		if err := r.lookAround(t.Context(), 1, true); err != nil {
			t.Errorf("look %d: %v", i, err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// modified returns when a file was last written; zero if there is none.
func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

func TestAcknowledgementLostDeposesTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		var writers sync.WaitGroup
		for w := range 3 { // so that there is something unacknowledged
			writers.Go(func() {
				for i := range 200 {
					if err := h.put(3*i+w, 100); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writers.Wait()
	}()
	for running, next := true, uint64(0); running; {
		h.log.mu.Lock()
		if h.log.newest >= next {
			h.log.unlink("acknowledgements are lost")
			next = h.log.newest + 10
		}
		changed := h.log.changed
		h.log.mu.Unlock()
		select {
		case <-done:
			running = false
		case <-changed:
		}
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
}

func TestGarbageInTheLogDeposesTheHub(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, end := follow(t, n, filepath.Join(dir, "copy.db"))
	c := n.connect()
	for i := range 20 {
		for _, kind := range []byte{logFence, logSet, logChunk, logComplete} {
			if _, err := c.js.Publish(t.Context(), c.Names.logSubject(kind), fmt.Appendf(nil, "garbage %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		h.mustPut(i, i+1, 100)
	}
	h.same(l, end, filepath.Join(dir, "copy.db"))
	again, end := follow(t, n, filepath.Join(dir, "new.db"))
	h.same(again, end, filepath.Join(dir, "new.db"))
}

func TestLogOfALaterVersionIsTakenForGarbage(t *testing.T) {
	n := startLogServer(t, 0)
	dir := t.TempDir()
	h := lead(t, n, filepath.Join(dir, "hub.db"), LogOptions{Required: true})
	l, _ := follow(t, n, filepath.Join(dir, "copy.db"))
	m := logMessage{kind: logSet, writer: writerID{1}, index: 1, at: store.Position{Tag: "0123abcd", Epoch: 99, Commit: 1 << 40}}
	later := m.encode()
	later[0]++
	if _, err := h.conn.js.Publish(t.Context(), h.conn.Names.logSubject(logSet), later); err != nil {
		t.Fatal(err)
	}
	until(t, "the copy says so", func() bool { return l.Following().Problem == ErrLogVersion.Error() })
	if err := h.put(1, 100); !errors.Is(err, store.ErrDeposed) {
		t.Errorf("commit: %v, want %v", err, store.ErrDeposed)
	}
}

// TestFailedPurgeFailsTheBase: the base is in the log, and is written once more every second.
func TestFailedPurgeFailsTheBase(t *testing.T) {
	n := startLogServer(t, 0)
	c := n.connect()
	_, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: c.Names.LogStream(), Subjects: []string{c.Names.LogAll()}, DenyPurge: true})
	if err != nil {
		t.Fatal(err)
	}
	h := lead(t, n, filepath.Join(t.TempDir(), "hub.db"), LogOptions{Required: true})
	until(t, "the first base is written", func() bool { s := h.log.State(); return s.Replicated && !s.Basing })
	h.mustPut(0, 10, 100)
	if _, err := h.log.writeBase(t.Context(), h.store); err != nil {
		t.Errorf("a base that can't be purged: %v", err)
	}
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.log.sinceBase != 0 {
		t.Errorf("%d bytes of sets are counted since the base, want 0", h.log.sinceBase)
	}
}

// FuzzLogMessage: hostile bytes give an error, and what decodes encodes to the same.
func FuzzLogMessage(f *testing.F) {
	m := logMessage{kind: logSet, writer: writerID{1, 2}, index: 3, epoch: 4, at: store.Position{Tag: "0123abcd", Epoch: 4, Commit: 7}, part: 1, more: true, body: []byte("x")}
	f.Add(m.encode())
	m.kind, m.body = logComplete, []byte(`{"number":1,"from":2,"size":3}`)
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeLog(data)
		if err != nil {
			return
		}
		again, err := decodeLog(m.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(logMessage{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-decoded +encoded and decoded):\n%s", diff)
		}
		if m.kind == logComplete {
			_, _ = m.base()
		}
		var a logAssembler
		_, _ = a.add(&m)
	})
}
