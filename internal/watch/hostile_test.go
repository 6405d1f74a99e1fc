package watch

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"campaignd/internal/safeio"
)

// Anything with a drop's name that is no plain file is refused without waiting.
func TestSpecialFilesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		make func(b *inbox) error
		want string
	}{
		"link":          {func(b *inbox) error { return os.Symlink("/etc/passwd", b.path("a.csv")) }, "is a symbolic link; put the file itself here"},
		"dangling link": {func(b *inbox) error { return os.Symlink("nowhere", b.path("a.csv")) }, "is a symbolic link; put the file itself here"},
		"FIFO":          {func(b *inbox) error { return unix.Mkfifo(b.path("a.csv"), 0o600) }, "is a FIFO; put a plain file here"},
		"folder":        {func(b *inbox) error { return os.Mkdir(b.path("a.csv"), 0o700) }, "is a folder; put a file here"},
		"device": {func(b *inbox) error {
			if err := unix.Mknod(b.path("a.csv"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
				b.t.Skip("devices can't be made here:", err)
			}
			return nil
		}, "is a device; put a plain file here"},
		"socket": {func(b *inbox) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.path("a.csv")})
			if err == nil {
				l.SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		}, "is a socket; put a plain file here"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, standard(), func(b *inbox) {
				b.put("a.layout.json", "b.csv", "b.layout.json", "b.schedule.json")
				b.do(c.make(b))
				b.run()
				b.pass(1900 * time.Millisecond)
				b.want("a")
				b.pass(2 * time.Second)
				b.want("a", "refused")
				b.want("b", "ready")
				d := b.first("refused", "a").drop
				switch {
				case d.CSV != nil:
					t.Errorf("d.CSV: got %+v, want none", d.CSV)
				case len(d.Others) != 1:
					t.Errorf("len(d.Others): got %v, want 1: %+v", len(d.Others), d.Others)
				case d.Others[0].Name != "a.csv":
					t.Errorf(`d.Others[0].Name: got %q, want "a.csv"`, d.Others[0].Name)
				case troubles(d) != "a.csv: "+c.want:
					t.Errorf("troubles(d): got %q, want %q", troubles(d), "a.csv: "+c.want)
				}
			})
		})
	}
}

// A refusal waits for the other parts: a file that is being written isn't moved away.
func TestRefusalWaitsForTheUpload(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.do(os.Symlink("x", b.path("a.csv")))
		f := hold(t, b.path("a.layout.json"))
		b.run()
		b.pass(time.Minute)
		b.want("a")
		b.pass(time.Hour) // but not for ever
		b.want("a", "refused")
		b.do(f.Close())
	})
}

func TestControlThatIsNoPlainFile(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.do(os.Symlink("x", b.path("a.cancel")))
		f := hold(t, b.path("b.pause"))
		b.run()
		b.pass(5 * time.Second)
		b.want("a", "refused")
		b.pass(time.Hour)
		b.want("b", "refused")
		b.do(f.Close())
	})
}

// faulty lets opening the file of that name fail with err.
func faulty(b *inbox, name string, err error) {
	b.w.disk = safeio.Disk{Fault: func(op safeio.Op, path string) error {
		if op == safeio.OpOpen && path == name {
			return err
		}
		return nil
	}}
}

func TestUnreadable(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		faulty(b, "a.csv", unix.EACCES)
		b.run()
		b.pass(15 * time.Second)
		b.want("a")
		b.pass(10 * time.Second)
		b.want("a", "refused")
		d := b.first("refused", "a").drop
		switch {
		case d.CSV != nil:
			t.Errorf("the drop is %+v: d.CSV = %+v, want nil", d, d.CSV)
		case len(d.Others) != 1:
			t.Errorf("the drop is %+v: len(d.Others) = %v, want 1", d, len(d.Others))
		case !strings.Contains(troubles(d), "permission denied"):
			t.Errorf("the drop is %+v: troubles(d) = %q, want \"permission denied\" in it", d, troubles(d))
		}
	})
	bubble(t, standard(), func(b *inbox) { // made readable in time
		b.put("a.csv", "a.layout.json", "a.schedule.json")
		var mended atomic.Bool
		b.w.disk = safeio.Disk{Fault: func(op safeio.Op, path string) error {
			if op == safeio.OpOpen && path == "a.csv" && !mended.Load() {
				return unix.EACCES
			}
			return nil
		}}
		b.run()
		b.pass(15 * time.Second)
		mended.Store(true)
		b.do(os.Chmod(b.path("a.csv"), 0o644))
		b.pass(5 * time.Second)
		b.want("a", "ready")
	})
}

// An error that doesn't concern the file refuses nothing; the file is waited for.
func TestUnopenable(t *testing.T) {
	for _, err := range []error{unix.EIO, unix.EMFILE} {
		bubble(t, standard(), func(b *inbox) {
			b.put("a.csv", "a.layout.json", "a.schedule.json")
			faulty(b, "a.csv", err)
			b.run()
			b.pass(59 * time.Minute)
			b.want("a")
			b.pass(2 * time.Minute)
			b.want("a", "incomplete")
			if got := troubles(b.first("incomplete", "a").drop); got != "a.csv: can't be opened: "+err.Error() {
				t.Errorf("trouble is %q", got)
			}
		})
	}
}

// The file is replaced between the scan and the opening.
func TestSwappedBeforeOpening(t *testing.T) {
	for name, swap := range map[string]func(b *inbox) error{
		"file": func(b *inbox) error { return os.WriteFile(b.path("a.csv"), []byte("other"), 0o600) },
		"link": func(b *inbox) error {
			return errors.Join(os.Remove(b.path("a.csv")), os.Symlink("/etc/passwd", b.path("a.csv")))
		},
		"gone":   func(b *inbox) error { return os.Remove(b.path("a.csv")) },
		"linked": func(b *inbox) error { return os.Link(b.path("a.csv"), b.path("x.bin")) },
	} {
		bubble(t, standard(), func(b *inbox) {
			b.put("a.csv", "a.layout.json", "a.schedule.json")
			swapped := false
			b.w.disk = safeio.Disk{Fault: func(op safeio.Op, path string) error {
				if op == safeio.OpOpen && path == "a.csv" && !swapped {
					swapped = true
					return swap(b)
				}
				return nil
			}}
			b.run()
			b.pass(3900 * time.Millisecond)
			if c := b.first("ready", "a"); c != nil {
				t.Errorf("%s: ready as what it was: %+v", name, c)
			}
			b.pass(5 * time.Second)
			switch name {
			case "file":
				b.want("a", "ready")
			case "link":
				b.want("a", "refused")
			default:
				b.want("a")
			}
		})
	}
}

func TestTwoSpellingsOfOnePart(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.csv", "a.CSV", "a.layout.json", "a.schedule.json")
		b.run()
		b.pass(15 * time.Second)
		b.want("a")
		b.pass(10 * time.Second)
		b.want("a", "refused")
		d := b.first("refused", "a").drop
		switch {
		case d.CSV != nil:
			t.Errorf("d.CSV: got %+v, want none", d.CSV)
		case len(d.Others) != 2:
			t.Errorf("len(d.Others): got %v, want 2: %+v", len(d.Others), d.Others)
		case d.Layout == nil:
			t.Error("d.Layout: got nil")
		case strings.Count(troubles(d), "one of several files") != 2:
			t.Errorf(`strings.Count(troubles(d), "one of several files"): got %v, want 2`, strings.Count(troubles(d), "one of several files"))
		}
		b.do(os.Remove(b.path("a.CSV")))
		b.pass(5 * time.Second)
		b.want("a", "refused", "ready")
	})
}

// Hostile names are handed over as unusable, counted, and logged once with quotes.
func TestHostileNames(t *testing.T) {
	log := &lines{}
	opt := standard()
	opt.Log = log.logger()
	bubble(t, opt, func(b *inbox) {
		b.put("a\nlevel=ERROR.csv", "\x1b[2J.csv", "\xff\xfe.csv", strings.Repeat("n", 201)+".csv", strings.Repeat("m", 251)+".csv", "\u0085.csv",
			"-rf.csv", "-rf.layout.json", "-rf.schedule.json", "...csv", "july.docx", ".csv")
		b.run()
		b.pass(time.Minute)
		b.want("-rf", "ready")
		for _, c := range b.all() {
			if c.drop.Name == "-rf" {
				continue
			}
			if c.what != "bad name" {
				t.Errorf("%q: got %s, want bad name", c.drop.Name, c.what)
			} else if c.drop.Problems[0].Message == "" {
				t.Errorf("%q: got no message", c.drop.Name)
			}
		}
		switch c := b.w.Counts(); {
		case c.BadNames != 6:
			t.Errorf("c.BadNames: got %v, want 6", c.BadNames)
		case c.Foreign != 1:
			t.Errorf("c.Foreign: got %v, want 1", c.Foreign)
		case c.Ignored != 2:
			t.Errorf("c.Ignored: got %v, want 2", c.Ignored)
		case c.Ready != 1:
			t.Errorf("c.Ready: got %v, want 1", c.Ready)
		case c.Troubled != 6:
			t.Errorf("c.Troubled: got %v, want 6", c.Troubled)
		}
		if n := log.count("can't be used") + log.count("left alone"); n != 7 {
			t.Errorf("%d lines about names and files of no drop, want 7", n)
		}
		for _, line := range log.all() {
			if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\n\x1b") {
				t.Errorf("a name breaks out of its log line: strings.TrimSuffix(line, \"\\n\") = %q, want none of %q in it", strings.TrimSuffix(line, "\n"), "\n\x1b")
			}
			if strings.Contains(line, "\xff") {
				t.Errorf("a name breaks out of its log line: line = %q, want no \"\\xff\" in it", line)
			}
		}
		b.do(os.Remove(b.path("july.docx")))
		b.pass(2 * time.Second)
		b.put("july.docx")
		b.pass(2 * time.Second)
		if n := log.count("july.docx"); n != 2 {
			t.Errorf("%d lines about a file that came twice, want 2", n)
		}
	})
}

func TestIgnoredForGood(t *testing.T) {
	opt := standard()
	opt.Ignore = []string{"*.bak.csv", "test-*"}
	bubble(t, opt, func(b *inbox) {
		for _, end := range []string{".part", ".PARTIAL", ".filepart", ".tmp", ".temp", ".swp", ".crdownload", "~"} {
			b.put("a.csv" + end)
		}
		b.put(".a.csv", "a.bak.csv", "test-1.csv", "test-1.layout.json")
		for _, own := range []string{"accepted", "done", "failed"} {
			b.do(os.Mkdir(b.path(own), 0o700))
			b.put(own + "/a.csv")
		}
		b.run()
		b.pass(2 * time.Hour)
		if len(b.all()) != 0 {
			t.Errorf("told of %+v", b.all())
		}
		switch c := b.w.Counts(); {
		case c.Ignored != 12:
			t.Errorf("c.Ignored = %v, want 12", c.Ignored)
		case c.Foreign != 0:
			t.Errorf("c.Foreign = %v, want 0", c.Foreign)
		case c.Pending != 0:
			t.Errorf("c.Pending = %v, want 0", c.Pending)
		}
	})
}

func TestControlFiles(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.cancel", "b.20261124-000012.PAUSE", "c.resume", "d.suppress.csv", "e.2026.cancel")
		b.run()
		b.pass(1900 * time.Millisecond)
		if len(b.all()) != 0 {
			t.Errorf("told of %+v before they settled", b.all())
		}
		b.pass(2 * time.Second)
		for _, c := range []Control{
			{Name: "a", Action: ActionCancel}, {Name: "b", ID: "20261124-000012", Action: ActionPause}, {Name: "c", Action: ActionResume},
			{Name: "d", Action: ActionSuppress}, {Name: "e.2026", Action: ActionCancel},
		} {
			b.want(c.Name, "control")
			switch got := b.first("control", c.Name); {
			case got == nil:
				t.Error("got: got nil")
			case got.ctl.ID != c.ID:
				t.Errorf("got.ctl.ID: got %v, want %v", got.ctl.ID, c.ID)
			case got.ctl.Action != c.Action:
				t.Errorf("got.ctl.Action: got %v, want %v", got.ctl.Action, c.Action)
			case got.ctl.Inbox != b.dir:
				t.Errorf("got.ctl.Inbox: got %v, want %v", got.ctl.Inbox, b.dir)
			case got.ctl.File.ID.Inode == 0:
				t.Error("got.ctl.File.ID.Inode: got 0")
			}
		}
		b.pass(2 * time.Hour) // never a drop's CSV, never incomplete
		b.want("d", "control")
		b.want("d.suppress")
	})
}

// A control file is handed over with whether its drop is still in the inbox, in any spelling.
func TestControlBesideItsDrop(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("a.cancel", "A.Csv", "b.pause", "b.Csv", "c.20261124-000012.cancel", "c.20261124-000012.LAYOUT.json")
		b.run()
		b.pass(4 * time.Second)
		for name, want := range map[string][2]bool{"a": {false, false}, "b": {true, false}, "c": {false, true}} {
			if got := b.first("control", name); got == nil || got.ctl.Beside != want[0] || got.ctl.WholeBeside != want[1] {
				t.Errorf("%s: told of %+v, want %v", name, got, want)
			}
		}
	})
}

// A pause and the resume after it are handed over in order.
func TestControlFilesInOrder(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("z.pause", "y.pause", "x.pause")
		for i, name := range []string{"z.resume", "y.resume", "x.resume"} {
			b.put(name)
			st, err := os.Stat(b.path("x.pause"))
			b.do(err, os.Chtimes(b.path(name), st.ModTime(), st.ModTime().Add(-time.Duration(i)*time.Hour)))
		}
		b.run()
		b.pass(2 * time.Second)
		seen := map[string]Action{}
		for _, c := range b.all() {
			if c.ctl.Action == ActionResume && seen[c.ctl.Name] != ActionPause {
				t.Errorf("resume of %s before its pause", c.ctl.Name)
			}
			seen[c.ctl.Name] = c.ctl.Action
		}
	})
}

func TestSpecialNames(t *testing.T) {
	for m, want := range map[fs.FileMode]string{fs.ModeNamedPipe: "FIFO", fs.ModeSocket: "socket", fs.ModeDevice: "device", fs.ModeIrregular: "device"} {
		if got := special(m); got != want {
			t.Errorf("special(%v) is %q", m, got)
		}
	}
}
