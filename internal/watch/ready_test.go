package watch

import (
	"os"
	"testing"
	"time"
)

func TestReadyWithSidecar(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(1999 * time.Millisecond)
		b.want("a")
		b.pass(time.Second)
		b.want("a", "ready")
		d := b.first("ready", "a").drop
		switch {
		case d.Inbox != b.dir:
			t.Errorf("d.Inbox: got %v, want %v", d.Inbox, b.dir)
		case d.CSV == nil:
			t.Error("d.CSV: got nil")
		case d.CSV.Name != "a.csv":
			t.Errorf(`d.CSV.Name: got %q, want "a.csv"`, d.CSV.Name)
		case d.Layout.Name != "a.layout.json":
			t.Errorf(`d.Layout.Name: got %q, want "a.layout.json"`, d.Layout.Name)
		case d.Sidecar.Name != "a.schedule.json":
			t.Errorf(`d.Sidecar.Name: got %q, want "a.schedule.json"`, d.Sidecar.Name)
		case len(d.Others) != 0:
			t.Errorf("len(d.Others): got %v, want 0: %+v", len(d.Others), d.Others)
		case len(d.Problems) != 0:
			t.Errorf("len(d.Problems): got %v, want 0: %+v", len(d.Problems), d.Problems)
		}
		switch {
		case d.CSV.ID.Size != int64(len("content of a.csv")):
			t.Errorf("d.CSV.ID.Size = %v, want %v", d.CSV.ID.Size, int64(len("content of a.csv")))
		case d.CSV.ID.Inode == 0:
			t.Error("d.CSV.ID.Inode is 0")
		case d.CSV.ID.Name != "a.csv":
			t.Errorf("d.CSV.ID.Name = %q, want \"a.csv\"", d.CSV.ID.Name)
		}
		if !d.FirstSeen.Equal(b.start) || !d.QuietSince.Equal(b.start) {
			t.Errorf("first seen %v, quiet since %v, want %v", d.FirstSeen, d.QuietSince, b.start)
		}
		if got := b.first("ready", "a").at; got != 2*time.Second {
			t.Errorf("ready after %v, want 2s", got)
		}
	})
}

func TestReadyWithoutSidecarAfterSidecarWait(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv")
		b.run()
		b.pass(20 * time.Second)
		b.put("a.layout.json")
		b.pass(31 * time.Second) // seen at 21s, settled at 23s
		b.want("a")
		b.pass(2 * time.Second)
		b.want("a", "ready")
		if d := b.first("ready", "a").drop; d.Sidecar != nil {
			t.Errorf("a sidecar out of nothing: %+v", d.Sidecar)
		}
	})
}

func TestSidecarCommitsTheDrop(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json")
		b.run()
		b.pass(10 * time.Second)
		b.put("a.schedule.json")
		b.pass(2 * time.Second)
		b.want("a")
		b.pass(2 * time.Second)
		b.want("a", "ready")
	})
}

// A sidecar that goes again doesn't lengthen the wait for it, one that is still written does.
func TestSidecarComesAndGoes(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json")
		b.run()
		b.pass(30 * time.Second)
		b.put("a.schedule.json")
		b.pass(1500 * time.Millisecond)
		b.do(os.Remove(b.path("a.schedule.json")))
		b.pass(2 * time.Second)
		b.want("a", "ready")
	})
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json")
		b.run()
		b.pass(20 * time.Second)
		f := hold(t, b.path("a.schedule.json"))
		b.pass(time.Minute)
		b.want("a")
		b.do(f.Close())
		b.pass(3 * time.Second)
		b.want("a", "ready")
	})
}

func TestRequireSidecar(t *testing.T) {
	opt := standard()
	opt.RequireSidecar = true
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv", "a.layout.json")
		b.run()
		b.pass(50 * time.Minute)
		b.want("a")
		b.put("a.schedule.json")
		b.pass(4 * time.Second)
		b.want("a", "ready")
	})
}

func TestExtensionsInAnyCase(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.CSV", "a.Layout.JSON", "a.SCHEDULE.json", "A.csv")
		b.run()
		b.pass(4 * time.Second)
		b.want("a", "ready")
		b.want("A")
		switch d := b.first("ready", "a").drop; {
		case d.CSV.Name != "a.CSV":
			t.Errorf("d.CSV.Name = %q, want \"a.CSV\"", d.CSV.Name)
		case d.Layout.Name != "a.Layout.JSON":
			t.Errorf("d.Layout.Name = %q, want \"a.Layout.JSON\"", d.Layout.Name)
		}
	})
}

// The handler is called at every scan for as long as the files are there.
func TestReadyIsToldAgain(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(10 * time.Second)
		told := len(b.all())
		if told < 5 {
			t.Errorf("told %d times in 10s", told)
		}
		switch c := b.w.Counts(); {
		case c.Ready != 1:
			t.Errorf("c.Ready = %v, want 1", c.Ready)
		case c.Pending != 0:
			t.Errorf("c.Pending = %v, want 0", c.Pending)
		}
		b.do(os.Remove(b.path("a.csv")), os.Remove(b.path("a.layout.json")), os.Remove(b.path("a.schedule.json")))
		b.pass(10 * time.Second)
		if len(b.all()) != told {
			t.Error("told of files that are gone")
		}
		if c := b.w.Counts(); c.Ready != 0 {
			t.Errorf("counts are %+v", c)
		}
	})
}

func TestPoke(t *testing.T) {
	opt := standard()
	opt.Rescan = every(time.Hour)
	bubble(t, opt, func(b *inbox) {
		b.run()
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		b.pass(time.Minute)
		b.want("a")
		b.w.Poke()
		b.w.Poke()
		b.pass(2 * time.Second) // no rescan: the timer alone looks again
		b.want("a", "ready")
	})
}

func TestIncomplete(t *testing.T) {
	for _, c := range []struct {
		files []string
		needs bool
		want  string
	}{
		{files: []string{"a.csv"}, want: "a.layout.json: never arrived; a drop is NAME.csv with NAME.layout.json under the same NAME"},
		{files: []string{"a.layout.json", "a.schedule.json"}, want: "a.csv: never arrived; a drop is NAME.csv with NAME.layout.json under the same NAME"},
		{files: []string{"a.csv", "a.layout.json"}, needs: true, want: "a.schedule.json: never arrived; this inbox takes a drop only with its schedule, which may be just {}"},
	} {
		opt := standard()
		opt.RequireSidecar = c.needs
		bubble(t, opt, func(b *inbox) {
			b.put(c.files...)
			b.run()
			b.pass(time.Hour - time.Second)
			b.want("a")
			b.pass(2 * time.Second)
			b.want("a", "incomplete")
			got := b.first("incomplete", "a")
			if got == nil {
				t.Fatal("not told")
			}
			if tr := troubles(got.drop); tr != c.want || len(got.drop.Files()) != len(c.files) {
				t.Errorf("trouble is %q, want %q; files %+v", tr, c.want, got.drop.Files())
			}
		})
	}
}

// pair_timeout counts from the first sighting of the oldest part; a part that comes in time heals.
func TestIncompleteHeals(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv")
		b.run()
		b.pass(59 * time.Minute)
		b.put("a.layout.json")
		b.pass(10 * time.Minute)
		b.want("a", "ready")
	})
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv")
		b.run()
		b.pass(59 * time.Minute)
		b.put("a.schedule.json")
		b.pass(2 * time.Minute)
		b.want("a", "incomplete")
		b.put("a.layout.json") // late, but before anyone has moved the rest
		b.pass(time.Minute)
		b.want("a", "incomplete", "ready")
	})
}

// A file of the same name after a claim is a new drop with its own times.
func TestNewFileOfTheSameNameBeginsAnew(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv")
		b.run()
		b.pass(50 * time.Minute)
		b.put("b.tmp")
		b.do(os.Rename(b.path("b.tmp"), b.path("a.csv")))
		b.pass(50 * time.Minute)
		b.want("a")
		b.pass(11 * time.Minute)
		b.want("a", "incomplete")
	})
}

// An upload that goes on for hours is neither incomplete nor ready.
func TestSlowUploadIsNeverTimedOut(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.layout.json", "a.schedule.json")
		f := hold(t, b.path("a.csv"))
		b.run()
		for range 10 {
			b.pass(30 * time.Minute)
			_, err := f.WriteString("more\n")
			b.do(err)
		}
		b.want("a")
		b.do(f.Close())
		b.pass(5 * time.Second)
		b.want("a", "ready")
	})
}

func TestSettleZero(t *testing.T) {
	opt := standard()
	opt.Settle, opt.SidecarWait = 0, 0
	bubble(t, opt, func(b *inbox) {
		b.put("a.csv", "a.layout.json")
		b.run()
		b.want("a", "ready")
	})
}

func TestBadPatternEndsRun(t *testing.T) {
	opt := standard()
	opt.Ignore = []string{"ok*", "[a"}
	if err := New(opt, &recorder{}).Run(t.Context()); err == nil {
		t.Error("a pattern that can't work passes")
	}
}
