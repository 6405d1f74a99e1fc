package watch

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"campaignd/internal/safeio"
)

// source is a notifier for virtual time, fed by the test.
type source struct {
	events chan fsnotify.Event
	errs   chan error
	dead   atomic.Bool
	opened atomic.Int64
	fails  atomic.Pointer[error]
}

// events has the watcher of b take its events from a source.
func (b *inbox) events() *source {
	s := &source{events: make(chan fsnotify.Event), errs: make(chan error)}
	b.w.opt.NoEvents = false
	b.w.opt.Rescan = every(time.Hour)
	b.w.notify = func(string) (*notifier, error) {
		s.opened.Add(1)
		s.dead.Store(false)
		if err := s.fails.Load(); err != nil {
			return nil, *err
		}
		return &notifier{events: s.events, errors: s.errs, alive: func() bool { return !s.dead.Load() }, close: func() error { return nil }}, nil
	}
	return s
}

func (s *source) send(b *inbox, op fsnotify.Op, names ...string) {
	for _, name := range names {
		s.events <- fsnotify.Event{Name: b.path(name), Op: op}
	}
	synctest.Wait()
}

// With events nothing waits for a rescan, and a file is looked at, not the folder.
func TestEvents(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		s := b.events()
		var listings atomic.Int64
		b.w.disk = safeio.Disk{Fault: func(op safeio.Op, path string) error {
			if op == safeio.OpRead && path == b.dir {
				listings.Add(1)
			}
			return nil
		}}
		b.run()
		listed := listings.Load()
		b.pass(time.Minute)
		b.put("a.csv", "a.layout.json", "a.schedule.json", "x.txt")
		s.send(b, fsnotify.Create, "a.csv", "a.layout.json", "a.schedule.json", "x.txt")
		b.pass(3 * time.Second)
		b.want("a", "ready")
		b.do(os.Rename(b.path("a.csv"), b.path("b.csv")), os.Remove(b.path("a.layout.json")))
		s.send(b, fsnotify.Rename, "a.csv", "a.layout.json")
		s.send(b, fsnotify.Create, "b.csv")
		b.pass(3 * time.Second)
		switch c := b.w.Counts(); {
		case c.Pending != 2:
			t.Errorf("c.Pending = %v, want 2", c.Pending)
		case c.Ready != 0:
			t.Errorf("c.Ready = %v, want 0", c.Ready)
		case !c.Events:
			t.Error("c.Events = false, want true")
		}
		if listings.Load() != listed {
			t.Error("the folder was listed for an event")
		}
	})
}

// An overflow, a flood of names, a closed channel: the whole inbox is looked at.
func TestEventsLost(t *testing.T) {
	for name, lose := range map[string]func(b *inbox, s *source){
		"overflow": func(_ *inbox, s *source) { s.errs <- fsnotify.ErrEventOverflow },
		"flood": func(b *inbox, s *source) {
			for i := range maxHints + 1 {
				s.events <- fsnotify.Event{Name: b.path(fmt.Sprintf("none%d.csv", i)), Op: fsnotify.Create}
			}
		},
		"inbox removed": func(b *inbox, s *source) { s.send(b, fsnotify.Remove, "") },
		"inbox renamed": func(b *inbox, s *source) { s.send(b, fsnotify.Rename, "") },
		"closed":        func(_ *inbox, s *source) { c := s.events; s.events = make(chan fsnotify.Event); close(c) },
		"errors closed": func(_ *inbox, s *source) { c := s.errs; s.errs = make(chan error); close(c) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, standard(), func(b *inbox) {
				s := b.events()
				b.run()
				b.put("a.csv", "a.layout.json", "a.schedule.json")
				b.pass(time.Minute)
				b.want("a")
				lose(b, s)
				b.pass(3 * time.Second)
				b.want("a", "ready")
				if again := s.opened.Load() > 1; again != !(name == "overflow" || name == "flood") {
					t.Errorf("events were asked for %d times", s.opened.Load())
				}
			})
		})
	}
}

// Without inotify (no instances left) the error is logged once, rescans do the work, and opening it is retried.
func TestEventsCantBeHad(t *testing.T) {
	log := &lines{}
	opt := standard()
	opt.Log = log.logger()
	bubble(t, opt, func(b *inbox) {
		s := b.events()
		err := fmt.Errorf("couldn't initialize inotify: %w", unix.EMFILE)
		s.fails.Store(&err)
		b.w.opt.Rescan = every(10 * time.Second)
		b.run()
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.pass(20 * time.Second)
		b.want("a", "ready")
		if c := b.w.Counts(); c.Events {
			t.Errorf("counts are %+v", c)
		}
		s.fails.Store(nil)
		b.pass(10 * time.Second)
		if c := b.w.Counts(); !c.Events {
			t.Errorf("counts are %+v", c)
		}
		if n := log.count("the inbox can't be watched"); n != 2 { // the warning and its end
			t.Errorf("%d lines: %q", n, log.all())
		}
		s.dead.Store(true) // unmounted: no event says so
		b.pass(10 * time.Second)
		if s.opened.Load() < 4 {
			t.Errorf("a dead watch was opened %d times", s.opened.Load())
		}
	})
}

// Another folder at the path: the watch is of the new one.
func TestReplacedInboxIsWatchedAnew(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		s := b.events()
		b.run()
		b.do(os.Rename(b.dir, b.dir+".old"), os.Mkdir(b.dir, 0o700))
		defer os.RemoveAll(b.dir + ".old")
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		s.send(b, fsnotify.Create, "a.csv") // a name alone, and another folder behind it
		b.pass(4 * time.Second)
		b.want("a", "ready")
		if s.opened.Load() != 2 {
			t.Errorf("events were asked for %d times, want 2", s.opened.Load())
		}
	})
}
