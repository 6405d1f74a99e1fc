package safeio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func tree(t *testing.T) (dir, old, new string) {
	t.Helper()
	dir = t.TempDir()
	old, new = filepath.Join(dir, "from"), filepath.Join(dir, "in", "to")
	if err := errors.Join(os.MkdirAll(filepath.Join(old, "sub"), 0o750), os.Mkdir(filepath.Join(dir, "in"), 0o700)); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(old, "a"), "aa")
	put(t, filepath.Join(old, "sub", "b"), "bb")
	return dir, old, new
}

func treeAt(prefix string) map[string]string {
	m := map[string]string{"in/": ""}
	for k, v := range map[string]string{"/": "", "/a": "aa", "/sub/": "", "/sub/b": "bb"} {
		m[prefix+k] = v
	}
	return m
}

func TestMoveDir(t *testing.T) {
	for name, disk := range map[string]Disk{"rename": {}, "other mount": acrossMounts(OpRename, 0), "no flags": failing(OpRename, 1, errNoFlags)} {
		t.Run(name, func(t *testing.T) {
			dir, old, new := tree(t)
			if err := disk.MoveDir(old, new); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(treeAt("in/to"), look(t, dir)); diff != "" {
				t.Error(diff)
			}
			if fi, err := os.Stat(new); err != nil || fi.Mode().Perm() != 0o750 {
				t.Errorf("the folder's mode is %v, %v", fi.Mode(), err)
			}
		})
	}
}

// Every step of every kind fails once, and a second call completes the move.
func TestFailedStepOfMoveDirBetweenMountsLosesAFile(t *testing.T) {
	for _, op := range []Op{OpCreate, OpOpen, OpRead, OpWrite, OpSync, OpRename, OpSyncDir, OpRemove} {
		for nth := 1; ; nth++ {
			dir, old, new := tree(t)
			err := acrossMounts(op, nth).MoveDir(old, new)
			if err == nil {
				if nth == 1 {
					t.Errorf("%s is never done", op)
				}
				break
			}
			if !errors.Is(err, errFault) {
				t.Fatalf("%s %d: %v", op, nth, err)
			}
			got := look(t, dir)
			if got["from/a"]+got["in/to/a"] == "" {
				t.Fatalf("%s %d: got[\"from/a\"] + got[\"in/to/a\"] is empty", op, nth)
			}
			if got["from/sub/b"]+got["in/to/sub/b"] == "" {
				t.Fatalf("%s %d: got[\"from/sub/b\"] + got[\"in/to/sub/b\"] is empty", op, nth)
			}
			for name := range got {
				if IsTemp(filepath.Base(name)) {
					t.Errorf("%s %d: %s is left", op, nth, name)
				}
			}
			if _, err := os.Lstat(old); err != nil {
				continue // only the last fsync failed
			}
			if err := acrossMounts(op, 0).MoveDir(old, new); err != nil {
				t.Fatalf("%s %d: again: %v", op, nth, err)
			}
			if diff := cmp.Diff(treeAt("in/to"), look(t, dir)); diff != "" {
				t.Errorf("%s %d: again: %s", op, nth, diff)
			}
		}
	}
}

func TestMoveDirNeverOverwrites(t *testing.T) {
	for name, disk := range map[string]func() Disk{"rename": func() Disk { return Disk{} }, "other mount": func() Disk { return acrossMounts(OpRename, 0) }} {
		t.Run(name, func(t *testing.T) {
			dir, old, new := tree(t)
			if err := os.Mkdir(new, 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(new, "a"), "other")
			if err := disk().MoveDir(old, new); !errors.Is(err, ErrExists) {
				t.Errorf("error is %v, want ErrExists", err)
			}
			want := treeAt("from")
			want["in/to/"], want["in/to/a"] = "", "other"
			if diff := cmp.Diff(want, look(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMoveDirSourceChanges(t *testing.T) {
	for _, change := range []string{"a", "new"} {
		dir, old, new := tree(t)
		d := acrossMounts(OpRename, 0)
		fault := d.Fault
		d.Fault = func(op Op, path string) error {
			if op == OpSyncDir && path == filepath.Dir(new) {
				put(t, filepath.Join(old, change), "came late")
			}
			return fault(op, path)
		}
		if err := d.MoveDir(old, new); !errors.Is(err, ErrChanged) {
			t.Errorf("error is %v, want ErrChanged", err)
		}
		if got := look(t, dir)["from/"+change]; got != "came late" {
			t.Errorf("the late %s holds %q", change, got)
		}
	}
}

func TestMoveDirErrors(t *testing.T) {
	dir, old, new := tree(t)
	if err := MoveDir(old+"x", new); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
	if err := acrossMounts(OpRename, 0).MoveDir(filepath.Join(old, "a"), new); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file gives %v", err)
	}
	long := filepath.Join(dir, "in", strings.Repeat("x", 256))
	if err := acrossMounts(OpRename, 0).MoveDir(old, long); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("a name that is too long gives %v", err)
	}
	if left := look(t, filepath.Join(dir, "in")); len(left) > 0 {
		t.Error("a part of a folder was placed:", left)
	}
}

// A refused drop's folder may hold FIFOs and links: moving it between two mounts must not hang.
func TestMoveDirHangsOnFIFOs(t *testing.T) {
	for _, crash := range []bool{false, true} {
		_, old, new := tree(t)
		put(t, filepath.Join(filepath.Dir(new), "elsewhere"), "linked")
		for _, err := range []error{
			os.Symlink("/nowhere", filepath.Join(old, "link")),
			unix.Mkfifo(filepath.Join(old, "fifo"), 0o644),
			os.Link(filepath.Join(filepath.Dir(new), "elsewhere"), filepath.Join(old, "hard")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if crash { // the copy was placed, and the source is still whole
			if err := os.Mkdir(new, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := (Disk{}).copyTree(old, new); err != nil {
				t.Fatal(err)
			}
		}
		if err := acrossMounts(OpRename, 0).MoveDir(old, new); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the source is still there:", err)
		}
		for _, name := range []string{"link", "fifo"} {
			if _, err := os.Lstat(filepath.Join(new, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want none: it has no content", name, err)
			}
		}
		if text, err := os.ReadFile(filepath.Join(new, "hard")); err != nil || string(text) != "linked" {
			t.Error(string(text), err)
		}
		if text, err := os.ReadFile(filepath.Join(filepath.Dir(new), "elsewhere")); err != nil || string(text) != "linked" {
			t.Error("the other name lost its content:", string(text), err)
		}
	}
}
