package safeio

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("file"), "x")
	put(t, at("two"), "x")
	err := errors.Join(os.Link(at("two"), at("names")), os.Symlink("file", at("link")), os.Symlink("none", at("dangling")),
		unix.Mkfifo(at("fifo"), 0o600), os.Mkdir(at("folder"), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("socket")})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	open, err := (Disk{}).OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for name, want := range map[string]error{
		"file": nil, "two": ErrHardLinked, "names": ErrHardLinked, "link": ErrLink, "dangling": ErrLink,
		"fifo": ErrNotRegular, "folder": ErrNotRegular, "socket": ErrNotRegular, "none": fs.ErrNotExist,
	} {
		f, fi, err := OpenRegular(at(name))
		if !errors.Is(err, want) {
			t.Errorf("OpenRegular(%s) is %v, want %v", name, err, want)
		}
		g, _, gerr := open.OpenRegular(name)
		if !errors.Is(gerr, want) {
			t.Errorf("Dir.OpenRegular(%s) is %v, want %v", name, gerr, want)
		}
		if want != nil {
			continue
		}
		st, err := open.Stat(name)
		if err != nil || st.ID != FileID(fi) {
			t.Errorf("Dir.Stat gives %+v (%v), FileID %+v", st.ID, err, FileID(fi))
		}
		_ = f.Close()
		_ = g.Close()
	}
	if _, _, err := OpenRegular("/dev/null"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a device gives %v", err)
	}
	if _, _, err := failing(OpOpen, 1, unix.EACCES).OpenRegular(at("file")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unreadable file gives %v", err)
	}
}

// The name belongs to a FIFO or a link between the check and the opening.
func TestFileSwappedForAFIFOWhileOpening(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := openRetry(unix.AT_FDCWD, fifo, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if err != nil {
		t.Fatalf("opening a FIFO without a writer doesn't come back at once: %v", err)
	}
	f := os.NewFile(uintptr(fd), fifo)
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
		t.Errorf("a FIFO passes the second look: %v", err)
	case !errors.Is(statOf(fi).Check(), ErrNotRegular):
		t.Errorf("a FIFO passes the second look: got the error %v, want %v", statOf(fi).Check(), ErrNotRegular)
	}
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, name := range []string{"-rf", "a\nb", "\xff\xfe", "..."} {
		put(t, filepath.Join(dir, name), "")
		want = append(want, name)
	}
	d, err := (Disk{}).OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var got []string
	if err := d.Names(func(name string) { got = append(got, name) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
	if _, err := d.Stat("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	// A renamed folder is still the one that was opened.
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir + "2")
	if _, err := d.Stat("-rf"); err != nil {
		t.Error(err)
	}
	if _, err := (Disk{}).OpenDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
	if _, err := (Disk{}).OpenDir(filepath.Join(dir+"2", "-rf")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file gives %v", err)
	}
	if _, err := failing(OpOpen, 1, unix.EIO).OpenDir(dir + "2"); !errors.Is(err, unix.EIO) {
		t.Errorf("a fault gives %v", err)
	}
	e, err := failing(OpRead, 1, unix.EIO).OpenDir(dir + "2")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Names(func(string) {}); !errors.Is(err, unix.EIO) {
		t.Errorf("a fault gives %v", err)
	}
	if other, err := (Disk{}).OpenDir(t.TempDir()); err != nil || other.ID() == d.ID() {
		t.Errorf("two folders have one identity (%v)", err)
	} else {
		_ = other.Close()
	}
}

// A file with a stable size that is open for writing is detected by the lease.
func TestFileStillBeingWrittenLooksFinished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put(t, path, "x")
	ask := func() (bool, bool) {
		f, _, err := OpenRegular(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return Busy(f)
	}
	if busy, known := ask(); !known {
		t.Skip("no leases on this file system")
	} else if busy {
		t.Error("a closed file is busy")
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if busy, known := ask(); !busy || !known {
		t.Error("a file open for writing is not busy")
	}
	if err := os.Rename(path, path+"2"); err != nil { // also under another name
		t.Fatal(err)
	}
	path += "2"
	if busy, _ := ask(); !busy {
		t.Error("a file open for writing is not busy after a rename")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if busy, known := ask(); busy || !known {
		t.Error("a file is busy after its writer has closed it")
	}
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if busy, _ := ask(); busy {
		t.Error("a reader makes a file busy")
	}
}

// An error while asking means "not known", never "mine".
func TestLeaseErrorTakenForFree(t *testing.T) {
	f, err := os.Open(t.TempDir()) // folders have no leases here
	if err != nil {
		t.Fatal(err)
	}
	if _, known := Busy(f); known {
		t.Skip("leases on folders")
	}
	_ = f.Close()
	if busy, known := Busy(f); busy || known {
		t.Errorf("a closed file is busy=%v known=%v", busy, known)
	}
}

// A file of another user: without CAP_LEASE the answer is "not known", not an error.
func TestLeaseOnAnothersFile(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may take a lease on any file")
	}
	f, fi, err := OpenRegular("/etc/passwd")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if sys, ok := fi.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) == os.Getuid() {
		t.Skip("the file is ours")
	}
	if busy, known := Busy(f); busy || known {
		t.Errorf("busy=%v known=%v, want neither", busy, known)
	}
}
