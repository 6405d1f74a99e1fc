package watch

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campaignd/internal/safeio"
)

// A missing inbox comes back as another folder, and is never created by the watcher.
func TestInboxRemovedAndReplaced(t *testing.T) {
	log := &lines{}
	opt := standard()
	opt.Log = log.logger()
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(time.Second)
		b.do(os.RemoveAll(b.dir))
		b.pass(time.Hour)
		b.want("a")
		if _, err := os.Stat(b.dir); err == nil {
			t.Error("the inbox was made again")
		}
		switch c := b.w.Counts(); {
		case !c.Missing:
			t.Error("c.Missing = false, want true")
		case c.Err == "":
			t.Error("c.Err is empty")
		case c.Pending != 0:
			t.Errorf("c.Pending = %v, want 0", c.Pending)
		}
		if n := log.count("the inbox can't be opened"); n != 1 {
			t.Errorf("%d lines about the missing inbox, want 1", n)
		}
		b.do(os.Mkdir(b.dir, 0o700))
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.pass(5 * time.Second)
		b.want("a", "ready")
		switch c := b.w.Counts(); {
		case c.Missing:
			t.Error("c.Missing = true, want false")
		case c.Err != "":
			t.Errorf("c.Err = %q, want none", c.Err)
		}
		if n := log.count("recovered: "); n != 1 {
			t.Errorf("%d lines about its return, want 1", n)
		}
	})
}

// The inbox is replaced between two scans: nothing of the old one is handed over.
func TestInboxReplaced(t *testing.T) {
	log := &lines{}
	opt := standard()
	opt.Log = log.logger()
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(1500 * time.Millisecond)
		b.do(os.Rename(b.dir, b.dir+".old"), os.Mkdir(b.dir, 0o700))
		defer os.RemoveAll(b.dir + ".old")
		b.put("b.csv", "b.layout.json", "b.schedule.json")
		b.pass(5 * time.Second)
		b.want("a")
		b.want("b", "ready")
		if n := log.count("another folder"); n != 1 {
			t.Errorf("%d lines about the other folder, want 1", n)
		}
	})
}

// An inbox that can't be read for a while forgets nothing and hands over nothing.
func TestInboxUnreadable(t *testing.T) {
	for _, op := range []safeio.Op{safeio.OpOpen, safeio.OpRead} {
		log := &lines{}
		opt := standard()
		opt.Log = log.logger()
		bubble(t, opt, func(b *inbox) {
			b.put("a.csv")
			var broken atomic.Bool
			b.w.disk = safeio.Disk{Fault: func(o safeio.Op, path string) error {
				if o == op && path == b.dir && broken.Load() {
					return unix.EIO
				}
				return nil
			}}
			b.run()
			b.pass(10 * time.Second)
			broken.Store(true)
			b.pass(10 * time.Second)
			switch c := b.w.Counts(); {
			case c.Err == "":
				t.Errorf("%s: c.Err is empty", op)
			case c.Pending != 1:
				t.Errorf("%s: c.Pending = %v, want 1", op, c.Pending)
			}
			broken.Store(false)
			b.put("a.layout.json", "a.schedule.json")
			b.pass(5 * time.Second)
			b.want("a", "ready")
			if d := b.first("ready", "a"); d != nil && !d.drop.FirstSeen.Equal(b.start) {
				t.Errorf("%s: the CSV was forgotten", op)
			}
			if w, i := log.count("level=WARN"), log.count("recovered: "); w != 1 || i != 1 {
				t.Errorf("%s: %d warnings and %d all-clears, want 1 and 1", op, w, i)
			}
		})
	}
}

// An inbox that can be listed but not entered is logged once, and no file counts as removed.
func TestFilesThatCantBeLookedAt(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may look at everything")
	}
	log := &lines{}
	opt := standard()
	opt.Log = log.logger()
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.run()
		b.do(os.Chmod(b.dir, 0o400))
		b.pass(time.Minute)
		b.want("a")
		switch c := b.w.Counts(); {
		case c.Err == "":
			t.Error("c.Err is empty")
		case c.Pending != 1:
			t.Errorf("c.Pending = %v, want 1", c.Pending)
		case log.count("level=WARN") != 1:
			t.Errorf("log.count(\"level=WARN\") = %v, want 1", log.count("level=WARN"))
		}
		b.do(os.Chmod(b.dir, 0o700))
		b.pass(5 * time.Second)
		b.want("a", "ready")
	})
}

// Too many drops: the rest waits untouched, and no incomplete drop passes for a complete one.
func TestTooMany(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.w.limit = 10
		for i := range 25 {
			b.put(fmt.Sprintf("d%02d.csv", i), fmt.Sprintf("d%02d.layout.json", i), fmt.Sprintf("d%02d.schedule.json", i))
		}
		b.run()
		left := 25
		for range 10 {
			b.pass(4 * time.Second)
			for _, c := range b.all() {
				if c.what != "ready" {
					t.Fatalf("told of %+v", c)
				}
				if _, err := os.Stat(b.path(c.drop.CSV.Name)); err != nil {
					continue // told of more than once
				}
				for _, f := range c.drop.Files() {
					b.do(os.Remove(b.path(f.Name)))
				}
				left--
			}
		}
		switch c := b.w.Counts(); {
		case left != 0:
			t.Errorf("left = %v, want 0", left)
		case c.Untaken != 0:
			t.Errorf("c.Untaken = %v, want 0", c.Untaken)
		}
	})
}

// A drop has thousands of spellings; some are enough to refuse it, the rest comes later.
func TestTooManySpellings(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		const letters = "layout"
		for n := range 1 << len(letters) {
			ext := []byte(letters)
			for i := range ext {
				if n>>i&1 == 1 {
					ext[i] -= 'a' - 'A'
				}
			}
			b.put("a." + string(ext) + ".json")
		}
		b.run()
		b.pass(time.Minute)
		b.want("a", "refused")
		if c := b.w.Counts(); c.Untaken != 1<<len(letters)-maxParts {
			t.Errorf("counts are %+v", c)
		}
		for len(b.all()) > 0 {
			all := b.all()
			for _, f := range all[len(all)-1].drop.Files() {
				if err := os.Remove(b.path(f.Name)); err != nil {
					return // the last ones are gone, and were told of before
				}
			}
			b.pass(time.Minute)
		}
	})
}

func TestManyForeignFiles(t *testing.T) {
	log := &lines{}
	opt := standard()
	opt.Log = log.logger()
	bubble(t, opt, func(b *inbox) {
		for i := range maxLoggedNames + 50 {
			b.put(fmt.Sprintf("f%d.txt", i))
		}
		b.run()
		b.pass(10 * time.Second)
		if c := b.w.Counts(); c.Foreign != maxLoggedNames+50 {
			t.Errorf("counts are %+v", c)
		}
		if n, m := log.count("left alone"), log.count("too many files"); n != maxLoggedNames+1 || m != 1 {
			t.Errorf("%d and %d lines about foreign files, want %d and 1", n, m, maxLoggedNames+1)
		}
	})
}

// A long scan is followed by a pause, however often one is requested.
func TestRest(t *testing.T) {
	opt := standard()
	bubble(t, opt, func(b *inbox) {
		var looks atomic.Int64
		b.w.disk = safeio.Disk{Fault: func(op safeio.Op, path string) error {
			if op == safeio.OpOpen && path == b.dir {
				looks.Add(1)
				time.Sleep(3 * time.Second) // virtual: a slow disk
			}
			return nil
		}}
		b.run()
		for range 1500 {
			b.w.Poke()
			b.pass(100 * time.Millisecond)
		}
		if looks := looks.Load(); looks < 8 || looks > 11 {
			t.Errorf("%d looks of 3s in 150s, want a fifth of the time", looks)
		}
	})
}

// A schedule that never fires, or only in the past, doesn't stop the rescans.
func TestRescanThatNeverFires(t *testing.T) {
	for _, s := range []Schedule{nil, every(0), every(-time.Hour)} {
		opt := standard()
		opt.Rescan = s
		bubble(t, opt, func(b *inbox) {
			b.run()
			b.pass(time.Second)
			b.put("a.csv", "a.layout.json", "a.schedule.json")
			b.pass(12 * time.Second)
			b.want("a", "ready")
		})
	}
}

func TestCause(t *testing.T) {
	err := fmt.Errorf("open %q: %w", "x", &os.PathError{Op: "open", Path: "x", Err: unix.EIO})
	if got := innermost(err); got != unix.EIO.Error() {
		t.Errorf("cause is %q", got)
	}
	if got := innermost(errors.New("x")); !strings.Contains(got, "x") {
		t.Errorf("cause is %q", got)
	}
}
