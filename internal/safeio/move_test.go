package safeio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// folders makes from/ with a file and an empty to/.
func folders(t *testing.T) (dir, old, new string) {
	t.Helper()
	dir = t.TempDir()
	for _, d := range []string{"from", "to"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	old, new = filepath.Join(dir, "from", "f"), filepath.Join(dir, "to", "g")
	put(t, old, "content")
	return dir, old, new
}

func atOld() map[string]string {
	return map[string]string{"from/": "", "to/": "", "from/f": "content"}
}

func atNew() map[string]string {
	return map[string]string{"from/": "", "to/": "", "to/g": "content"}
}

func TestMove(t *testing.T) {
	for name, disk := range map[string]Disk{
		"rename": {},
		"no RENAME_NOREPLACE": {Fault: func(op Op, _ string) error {
			if op == OpRename {
				return errNoFlags
			}
			return nil
		}},
		"other mount": acrossMounts(OpRename, 0),
	} {
		t.Run(name, func(t *testing.T) {
			dir, old, new := folders(t)
			before, err := os.Stat(old)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(old, time.Time{}, before.ModTime().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			if err := disk.Move(old, new); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(atNew(), look(t, dir)); diff != "" {
				t.Error(diff)
			}
			after, err := os.Stat(new)
			if err != nil {
				t.Fatal(err)
			}
			if after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime().Add(-time.Hour)) {
				t.Errorf("mode and time were %v %v, are %v %v", before.Mode(), before.ModTime(), after.Mode(), after.ModTime())
			}
		})
	}
}

func TestMoveNeverOverwrites(t *testing.T) {
	noFlags := func() Disk { return failing(OpRename, 1, errNoFlags) }
	across := func() Disk { return acrossMounts(OpRename, 0) }
	for name, disk := range map[string]func() Disk{"rename": func() Disk { return Disk{} }, "no flags": noFlags, "other mount": across} {
		for _, target := range []string{"file", "folder", "dangling link"} {
			t.Run(name+" "+target, func(t *testing.T) {
				dir, old, new := folders(t)
				switch target {
				case "file":
					put(t, new, "precious")
				case "folder":
					_ = os.Mkdir(new, 0o700)
				case "dangling link":
					_ = os.Symlink("nowhere", new)
				}
				err := disk().Move(old, new)
				if err == nil {
					t.Error("got no error, want one")
				}
				if target == "file" && !errors.Is(err, ErrExists) {
					t.Errorf("got %v, want ErrExists", err)
				}
				if _, err := os.Lstat(old); err != nil {
					t.Error(err)
				}
				if target == "file" {
					want := atOld()
					want["to/g"] = "precious"
					if diff := cmp.Diff(want, look(t, dir)); diff != "" {
						t.Error(diff)
					}
				}
			})
		}
	}
}

// Each step of a move between mounts fails: the file is always in at least one place, and
// calling Move again completes it.
func TestFailedStepOfMoveBetweenMountsLosesTheFile(t *testing.T) {
	for _, c := range []struct {
		op   Op
		nth  int
		both bool // copy in place already
		gone bool // old removed already
	}{
		{op: OpOpen, nth: 1}, {op: OpCreate, nth: 1}, {op: OpRead, nth: 1}, {op: OpWrite, nth: 1}, {op: OpSync, nth: 1},
		{op: OpRead, nth: 3}, // reading the copy back
		{op: OpRename, nth: 1},
		{op: OpSyncDir, nth: 1, both: true}, {op: OpRemove, nth: 1, both: true},
		{op: OpSyncDir, nth: 2, gone: true}, {op: OpSyncDir, nth: 3, gone: true},
	} {
		dir, old, new := folders(t)
		err := acrossMounts(c.op, c.nth).Move(old, new)
		if !errors.Is(err, errFault) {
			t.Errorf("%s %d: error is %v", c.op, c.nth, err)
		}
		want := atOld()
		if c.gone {
			want = atNew()
		} else if c.both {
			want["to/g"] = "content"
		}
		if diff := cmp.Diff(want, look(t, dir)); diff != "" {
			t.Errorf("%s %d: %s", c.op, c.nth, diff)
		}
		if c.gone {
			continue
		}
		if err := acrossMounts(OpRename, 0).Move(old, new); err != nil {
			t.Errorf("%s %d: again: %v", c.op, c.nth, err)
		}
		if diff := cmp.Diff(atNew(), look(t, dir)); diff != "" {
			t.Errorf("%s %d: again: %s", c.op, c.nth, diff)
		}
	}
}

func TestMoveOrder(t *testing.T) {
	var steps []string
	_, old, new := folders(t)
	d := trace(&steps)
	across := Disk{Fault: func(op Op, path string) error {
		first := op == OpRename && path == old
		_ = d.Fault(op, path)
		if first {
			return unix.EXDEV
		}
		return nil
	}}
	if err := across.Move(old, new); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "rename f", "create to", "write temp", "sync temp", "rename temp", "syncdir to", "remove f", "syncdir to", "syncdir from")
	steps = nil
	if err := d.Move(new, old); err != nil {
		t.Fatal(err)
	}
	wantSteps(t, steps, "rename g", "syncdir from", "syncdir to")
}

func TestMoveSourceChanges(t *testing.T) {
	for _, at := range []Op{OpSync, OpSyncDir} { // while copying, after the copy was placed
		dir, old, new := folders(t)
		d := acrossMounts(OpRename, 0)
		fault := d.Fault
		d.Fault = func(op Op, path string) error {
			if op == at {
				put(t, old, "changed!")
			}
			return fault(op, path)
		}
		if err := d.Move(old, new); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: error is %v, want ErrChanged", at, err)
		}
		want := atOld()
		want["from/f"] = "changed!"
		if diff := cmp.Diff(want, look(t, dir)); diff != "" {
			t.Errorf("%s: %s", at, diff)
		}
	}
}

func TestMoveCopyDiffers(t *testing.T) {
	dir, old, new := folders(t)
	d := acrossMounts(OpRename, 0)
	fault := d.Fault
	reads := 0
	d.Fault = func(op Op, path string) error {
		if op == OpRead && IsTemp(filepath.Base(path)) {
			if reads++; reads == 1 {
				put(t, path, "CONTENT") // the disk returns other bytes
			}
		}
		return fault(op, path)
	}
	if err := d.Move(old, new); !errors.Is(err, ErrDiffers) {
		t.Errorf("error is %v, want ErrDiffers", err)
	}
	if diff := cmp.Diff(atOld(), look(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestMoveAcrossMountsTakesFilesOnly(t *testing.T) {
	dir := t.TempDir()
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	put(t, filepath.Join(dir, "f"), "x")
	if err := errors.Join(os.Symlink("f", link), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := acrossMounts(OpRename, 0).Move(link, filepath.Join(dir, "n")); !errors.Is(err, ErrLink) {
		t.Errorf("a link gives %v", err)
	}
	if err := acrossMounts(OpRename, 0).Move(fifo, filepath.Join(dir, "n")); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a FIFO gives %v", err)
	}
	// A rename moves any kind of file.
	if err := errors.Join(Move(link, filepath.Join(dir, "l2")), Move(fifo, filepath.Join(dir, "f2"))); err != nil {
		t.Error(err)
	}
}

func TestMoveSparseGiant(t *testing.T) {
	_, old, new := folders(t)
	free, err := FreeSpace(filepath.Dir(new))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(old, int64(min(free+free/2, 15<<40))); err != nil {
		t.Skip(err)
	}
	if err := acrossMounts(OpRename, 0).Move(old, new); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error is %v, want ENOSPC at once", err)
	}
}

// A crash between link and unlink leaves two names; calling Move again completes it.
func TestMoveFinishesLinkAndUnlink(t *testing.T) {
	dir, old, new := folders(t)
	if err := os.Link(old, new); err != nil {
		t.Fatal(err)
	}
	if err := Move(old, new); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(atNew(), look(t, dir)); diff != "" {
		t.Error(diff)
	}
	same := filepath.Join(dir, "from", "g") // the same base name in another folder
	if err := errors.Join(os.Link(new, same), Move(same, new)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(atNew(), look(t, dir)); diff != "" {
		t.Error(diff)
	}
	other := filepath.Join(dir, "from", "h") // two names, but a folder's alias is one name
	if err := errors.Join(os.Link(new, other), os.Symlink("to", filepath.Join(dir, "alias"))); err != nil {
		t.Fatal(err)
	}
	if err := Move(filepath.Join(dir, "alias", "g"), new); !errors.Is(err, ErrExists) {
		t.Errorf("a file moved onto itself gives %v", err)
	}
	if err := errors.Join(os.Remove(other), os.Remove(filepath.Join(dir, "alias"))); err != nil {
		t.Fatal(err)
	}
	if err := Move(new, filepath.Join(dir, "to", ".", "g")); !errors.Is(err, ErrExists) {
		t.Errorf("a file moved onto itself gives %v", err)
	}
	if diff := cmp.Diff(atNew(), look(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestMoveByLinkFaults(t *testing.T) {
	dir, old, new := folders(t)
	n := 0
	d := Disk{Fault: func(op Op, _ string) error {
		switch {
		case op == OpRename:
			return errNoFlags
		case op == OpRemove:
			if n++; n == 1 {
				return unix.EIO
			}
		}
		return nil
	}}
	if err := d.Move(old, new); !errors.Is(err, unix.EIO) {
		t.Errorf("error is %v", err)
	}
	if diff := cmp.Diff(atOld(), look(t, dir)); diff != "" {
		t.Error(diff)
	}
	if err := d.Move(old+"x", new); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing source gives %v", err)
	}
	if err := d.Move(old, filepath.Join(dir, "none", "g")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
}
