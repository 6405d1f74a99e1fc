package safeio

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("n", 255)) // no room for a longer temporary name
	for _, content := range []string{"one", "two", "", strings.Repeat("x", 200<<10)} {
		if err := WriteFile(path, 0o664, writing(content)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{filepath.Base(path): content}, look(t, dir)); diff != "" {
			t.Error(diff)
		}
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode() != 0o664 {
		t.Errorf("mode is %v (%v), want 0664 whatever the umask", fi.Mode(), err)
	}
}

// PlaceFile and ReplaceFile write like WriteFile, and leave no other file.
func TestPlaceAndReplaceFile(t *testing.T) {
	for name, write := range map[string]func(string, fs.FileMode, func(io.Writer) error) error{"place": PlaceFile, "replace": ReplaceFile} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		for _, content := range []string{"one", "two"} {
			if err := write(path, 0o644, writing(content)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(map[string]string{"f": content}, look(t, dir)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		err := write(path, 0o644, func(io.Writer) error { return errFault })
		if diff := cmp.Diff(map[string]string{"f": "two"}, look(t, dir)); diff != "" || !errors.Is(err, errFault) {
			t.Errorf("%s: %v, %s", name, err, diff)
		}
	}
}

func TestWriteFileReplacesALinkNotItsTarget(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "target"), "kept")
	if err := os.Symlink("target", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "link"), 0o600, writing("new")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"target": "kept", "link": "new"}, look(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// Each step fails once: the old content remains complete, and there is no other file.
func TestWriteFileFaults(t *testing.T) {
	for _, op := range []Op{OpCreate, OpWrite, OpSync, OpRename} {
		for _, cause := range []error{errFault, unix.ENOSPC, unix.EIO, unix.EROFS} {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			put(t, path, "old")
			err := failing(op, 1, cause).WriteFile(path, 0o600, writing("new"))
			if !errors.Is(err, cause) {
				t.Errorf("%s: error is %v, want %v", op, err, cause)
			}
			if diff := cmp.Diff(map[string]string{"f": "old"}, look(t, dir)); diff != "" {
				t.Errorf("%s: %s", op, diff)
			}
		}
	}
}

func TestWriteFileFaultsLate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	put(t, path, "old")
	big := writing(strings.Repeat("y", 300<<10))
	twice := func(w io.Writer) error { return errors.Join(big(w), big(w)) }
	if err := failing(OpWrite, 2, unix.ENOSPC).WriteFile(path, 0o600, twice); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a disk that is full half-way gives %v", err)
	}
	if err := WriteFile(path, 0o600, func(w io.Writer) error { _ = big(w); return errFault }); !errors.Is(err, errFault) {
		t.Errorf("a writer that fails gives %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = WriteFile(path, 0o600, func(io.Writer) error { panic("a bug") })
	}()
	if diff := cmp.Diff(map[string]string{"f": "old"}, look(t, dir)); diff != "" {
		t.Error(diff)
	}
	// The folder's fsync is the last step: the new content is in place, and the error says it may not last.
	if err := failing(OpSyncDir, 1, unix.EIO).WriteFile(path, 0o600, writing("new")); !errors.Is(err, unix.EIO) {
		t.Errorf("a failed fsync of the folder gives %v", err)
	}
	if diff := cmp.Diff(map[string]string{"f": "new"}, look(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestWriteFileOrder(t *testing.T) {
	var steps []string
	dir := t.TempDir()
	if err := trace(&steps).WriteFile(filepath.Join(dir, "f"), 0o600, writing("x")); err != nil {
		t.Fatal(err)
	}
	d := filepath.Base(dir)
	wantSteps(t, steps, "create "+d, "write temp", "sync temp", "rename temp", "syncdir "+d)
}

func TestWriteFileErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "folder", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "folder"), 0o600, writing("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if err := WriteFile(filepath.Join(dir, "none", "f"), 0o600, writing("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
	if err := SyncDir(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
}

func TestSyncFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "x")
	if err := SyncFile(path); err != nil {
		t.Error(err)
	}
	if err := failing(OpSync, 1, unix.EIO).SyncFile(path); !errors.Is(err, unix.EIO) {
		t.Errorf("a failed fsync gives %v", err)
	}
	if err := SyncFile(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestRemoveTemps(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".campaignd-1.tmp"), "left")
	put(t, filepath.Join(dir, "keep.tmp"), "kept")
	if err := os.MkdirAll(filepath.Join(dir, ".campaignd-2.tmp", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := failing(OpRemove, 1, unix.EACCES).RemoveTemps(dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a failed removal gives %v", err)
	}
	if err := RemoveTemps(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"keep.tmp": "kept"}, look(t, dir)); diff != "" {
		t.Error(diff)
	}
	if err := failing(OpOpen, 1, unix.EACCES).RemoveTemps(dir); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unreadable folder gives %v", err)
	}
}

func TestFreeSpace(t *testing.T) {
	free, err := FreeSpace(t.TempDir())
	if err != nil || free == 0 {
		t.Errorf("FreeSpace is %d, %v", free, err)
	}
	if _, err := FreeSpace(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing path gives %v", err)
	}
}

func TestErrorsQuoteNames(t *testing.T) {
	err := WriteFile(filepath.Join(t.TempDir(), "no", "a\nb"), 0o600, writing(""))
	switch {
	case err == nil:
		t.Error("got no error")
	case bytes.Contains([]byte(err.Error()), []byte("\n")):
		t.Errorf("[]byte(err.Error()) = %q, want no %q in it", []byte(err.Error()), []byte("\n"))
	}
}
