package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/campaign"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// every is a schedule with a fixed interval.
type every time.Duration

func (e every) Next(after time.Time) time.Time { return after.Add(time.Duration(e)) }

// call is one call of the handler.
type call struct {
	what string // ready, incomplete, refused, control
	at   time.Duration
	drop Drop
	ctl  Control
}

// recorder is a Handler that records its calls, and outside bubbles sends them to calls.
type recorder struct {
	start   time.Time
	calls   chan call     // nil in a bubble
	gate    chan struct{} // if set, before the first call: taken from twice by every call
	mu      sync.Mutex
	callLog []call
	notes   map[string]string
}

func (r *recorder) note(c call) {
	c.at = time.Since(r.start)
	if r.gate != nil {
		<-r.gate
		<-r.gate
	}
	if r.calls != nil {
		r.calls <- c
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callLog = append(r.callLog, c)
}

// all returns the calls so far.
func (r *recorder) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.callLog)
}

func (r *recorder) Ready(d Drop)      { r.note(call{what: "ready", drop: d}) }
func (r *recorder) Incomplete(d Drop) { r.note(call{what: "incomplete", drop: d}) }
func (r *recorder) Refused(d Drop)    { r.note(call{what: "refused", drop: d}) }
func (r *recorder) Control(c Control) { r.note(call{what: "control", ctl: c}) }

func (r *recorder) BadName(_ string, f File, why string) {
	r.note(call{what: "bad name", drop: Drop{Name: f.Name, Others: []File{f}, Problems: []campaign.Problem{{Message: why}}}})
}

// Notes keeps the newest notes by name.
func (r *recorder) Notes(_ string, notes []Note) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = map[string]string{}
	for _, n := range notes {
		r.notes[n.Name] = n.Text
	}
}

// noteOf returns the newest note of a name, "" if it has none.
func (r *recorder) noteOf(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.notes[name]
}

// first returns the first call of the kind for name, or nil.
func (r *recorder) first(what, name string) *call {
	for _, c := range r.all() {
		if c.what == what && (c.drop.Name == name || c.ctl.Name == name) {
			return &c
		}
	}
	return nil
}

// inbox is a watched folder in a bubble of virtual time, without inotify.
type inbox struct {
	t   *testing.T
	dir string
	*recorder
	w *Watcher
}

// standard returns the defaults of docs/contract.md 2, with a scan every second.
func standard() Options {
	return Options{Settle: 2 * time.Second, SidecarWait: 30 * time.Second, PairTimeout: time.Hour, Rescan: every(time.Second), NoEvents: true}
}

// bubble runs test on a watched folder, with virtual time.
func bubble(t *testing.T, opt Options, test func(b *inbox)) {
	t.Helper()
	opt.Path = t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &inbox{t: t, dir: opt.Path, recorder: &recorder{start: time.Now()}}
		b.w = New(opt, b.recorder)
		test(b)
	})
}

// run starts the watcher; it ends with the test.
func (b *inbox) run() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.w.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run ends with %v", err)
		}
	})
	synctest.Wait()
}

// pass lets time pass.
func (b *inbox) pass(d time.Duration) {
	time.Sleep(d) // virtual
	synctest.Wait()
}

func (b *inbox) path(name string) string { return filepath.Join(b.dir, name) }

func (b *inbox) put(names ...string) {
	b.t.Helper()
	for _, name := range names {
		put(b.t, b.path(name), "content of "+name)
	}
}

func (b *inbox) do(errs ...error) {
	b.t.Helper()
	if err := errors.Join(errs...); err != nil {
		b.t.Fatal(err)
	}
}

// want fails unless the kinds of calls for name so far are what; repeats count once.
func (b *inbox) want(name string, what ...string) {
	b.t.Helper()
	var got []string
	for _, c := range b.all() {
		if c.drop.Name+c.ctl.Name == name {
			got = append(got, c.what)
		}
	}
	if got = slices.Compact(got); !slices.Equal(got, what) {
		b.t.Errorf("after %v the handler was told %q of %q, want %q", time.Since(b.start), got, name, what)
	}
}

// troubles joins the messages of a drop.
func troubles(d Drop) string {
	var all []string
	for _, p := range d.Problems {
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hold opens a file for appending, like a writer that continues.
func hold(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
