//go:build linux

package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests use the real fsnotify and so the real clock: virtual time doesn't advance
// while a goroutine waits for inotify. They wait for facts, with a limit. Rescans come
// once an hour, so that only events can help.

type real struct {
	t    *testing.T
	dir  string
	w    *Watcher
	rec  *recorder
	logs *lines
}

func watchReal(t *testing.T, opt Options, gate chan struct{}) *real {
	t.Helper()
	r := &real{t: t, dir: filepath.Join(t.TempDir(), "inbox"), logs: &lines{}, rec: &recorder{start: time.Now(), calls: make(chan call, 100_000), gate: gate}}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	opt.Path, opt.Log = r.dir, r.logs.logger()
	r.w = New(opt, r.rec)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r.until("the first look", func() bool { return !r.w.Counts().LookedAt.IsZero() })
	return r
}

func quick() Options {
	return Options{Settle: 20 * time.Millisecond, SidecarWait: 40 * time.Millisecond, PairTimeout: time.Hour, Rescan: every(time.Hour)}
}

// until waits for a fact that no channel reports.
func (r *real) until(what string, fact func() bool) {
	r.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !fact() {
		select {
		case <-tick.C:
		case <-limit.C:
			r.t.Fatalf("waited in vain for %s; counts are %+v; log is %q", what, r.w.Counts(), r.logs.all())
		}
	}
}

// ready waits until the drop is ready.
func (r *real) ready(name string) {
	r.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		select {
		case c := <-r.rec.calls:
			if c.what == "ready" && c.drop.Name == name {
				return
			}
		case <-limit.C:
			r.t.Fatalf("%q was never ready; counts are %+v; log is %q", name, r.w.Counts(), r.logs.all())
		}
	}
}

func (r *real) put(base string) {
	r.t.Helper()
	for _, end := range []string{".csv", ".layout.json", ".schedule.json"} {
		put(r.t, filepath.Join(r.dir, base+end), "x")
	}
}

func TestRealEvents(t *testing.T) {
	r := watchReal(t, quick(), nil)
	if !r.w.Counts().Events {
		t.Skip("no inotify here")
	}
	r.put("a")
	r.ready("a")
	// Without a sidecar, by a rename, with a hostile name.
	put(t, filepath.Join(r.dir, "-rf.csv.tmp"), "x")
	put(t, filepath.Join(r.dir, "-rf.layout.json"), "x")
	if err := os.Rename(filepath.Join(r.dir, "-rf.csv.tmp"), filepath.Join(r.dir, "-rf.csv")); err != nil {
		t.Fatal(err)
	}
	r.ready("-rf")
}

// A file closed long after its last write causes no event; the lease is requested again.
func TestRealSlowWriter(t *testing.T) {
	r := watchReal(t, quick(), nil)
	f := hold(t, filepath.Join(r.dir, "a.csv"))
	put(t, filepath.Join(r.dir, "a.layout.json"), "x")
	r.until("a pending drop", func() bool { return r.w.Counts().Pending == 1 })
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.ready("a")
}

func TestRealInboxReplaced(t *testing.T) {
	r := watchReal(t, quick(), nil)
	if !r.w.Counts().Events {
		t.Skip("no inotify here")
	}
	for i := range 3 {
		if err := os.RemoveAll(r.dir); err != nil {
			t.Fatal(err)
		}
		r.until("the missing inbox", func() bool { return r.w.Counts().Missing })
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		r.w.Poke() // a rescan
		r.until("the inbox", func() bool { c := r.w.Counts(); return !c.Missing && c.Events })
		name := fmt.Sprint("a", i)
		r.put(name)
		r.ready(name)
	}
	// Renamed away with another in its place, in one moment: an event tells at once.
	if err := errors.Join(os.Mkdir(r.dir+".new", 0o700), unix.Renameat2(unix.AT_FDCWD, r.dir, unix.AT_FDCWD, r.dir+".new", unix.RENAME_EXCHANGE)); err != nil {
		t.Fatal(err)
	}
	r.put("b")
	r.ready("b")
	r.until("events", func() bool { return r.w.Counts().Events })
	r.put("c")
	r.ready("c")
}

// 20,000 events come while the watcher is held up: the kernel's queue (16,384 by
// default) overflows, what is dropped then makes no event, there is no rescan to
// help, and not one drop is missed.
func TestRealOverflow(t *testing.T) {
	const drops = 100
	opt := quick()
	opt.SidecarWait = 0
	gate := make(chan struct{})
	r := watchReal(t, opt, gate)
	if !r.w.Counts().Events {
		t.Skip("no inotify here")
	}
	r.put("first")
	gate <- struct{}{} // the handler is told of it, and stays there
	names := []string{filepath.Join(r.dir, "x.tmp"), filepath.Join(r.dir, "y.tmp")}
	put(t, names[0], "x")
	for i := range 10_000 { // two events each
		if err := os.Rename(names[i%2], names[(i+1)%2]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range drops {
		put(t, filepath.Join(r.dir, fmt.Sprintf("d%d.csv", i)), "x")
		put(t, filepath.Join(r.dir, fmt.Sprintf("d%d.layout.json", i)), "x")
	}
	close(gate)
	seen := map[string]bool{}
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	for len(seen) < drops+1 {
		select {
		case c := <-r.rec.calls:
			if c.what != "ready" {
				t.Fatalf("told of %+v", c)
			}
			seen[c.drop.Name] = true
		case <-limit.C:
			t.Fatalf("%d of %d drops; counts are %+v", len(seen), drops, r.w.Counts())
		}
	}
	if r.logs.count("overflow") == 0 {
		t.Log("the queue of this host is longer: nothing has overflowed")
	}
}
