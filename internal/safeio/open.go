package safeio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
)

// Stat describes a folder's entry; links aren't followed.
type Stat struct {
	ID    campaign.FileID
	Mode  fs.FileMode
	Links uint64 // names the file has
}

// Check returns nil for a regular file with one name, else ErrLink, ErrNotRegular or ErrHardLinked.
func (s Stat) Check() error {
	switch {
	case s.Mode&fs.ModeSymlink != 0:
		return ErrLink
	case !s.Mode.IsRegular():
		return ErrNotRegular
	case s.Links > 1:
		return ErrHardLinked
	}
	return nil
}

// OpenRegular opens a regular file with one name for reading. It never follows
// a link in the last element of path and never blocks. Refusals wrap ErrLink,
// ErrHardLinked or ErrNotRegular; other errors are the system's (fs.ErrNotExist,
// fs.ErrPermission).
func OpenRegular(path string) (*os.File, fs.FileInfo, error) { return Disk{}.OpenRegular(path) }

// OpenRegular is the package's OpenRegular on this disk.
func (d Disk) OpenRegular(path string) (*os.File, fs.FileInfo, error) {
	return d.openAt(unix.AT_FDCWD, path, path, false)
}

// openLinked is OpenRegular for a file that may have several names.
func (d Disk) openLinked(path string) (*os.File, fs.FileInfo, error) {
	return d.openAt(unix.AT_FDCWD, path, path, true)
}

// openAt checks before it opens, since opening alone has effects on some devices, and checks
// again what it opened, since the name may belong to another file by then.
func (d Disk) openAt(dirfd int, name, path string, linked bool) (*os.File, fs.FileInfo, error) {
	check := func(st Stat) error {
		if err := st.Check(); !linked || !errors.Is(err, ErrHardLinked) {
			return err
		}
		return nil
	}
	refuse := func(err error) (*os.File, fs.FileInfo, error) {
		return nil, nil, fmt.Errorf("open %q: %w", path, err)
	}
	if err := d.fault(OpOpen, path); err != nil {
		return nil, nil, err
	}
	st, err := statAt(dirfd, name)
	if err == nil {
		err = check(st)
	}
	if err != nil {
		return refuse(err)
	}
	fd, err := openRetry(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC)
	switch {
	case errors.Is(err, unix.ELOOP):
		return refuse(ErrLink)
	case errors.Is(err, unix.ENXIO):
		return refuse(ErrNotRegular)
	case err != nil:
		return refuse(err)
	}
	f := os.NewFile(uintptr(fd), path)
	fi, err := f.Stat()
	if err == nil {
		err = check(statOf(fi))
	}
	if err != nil {
		_ = f.Close()
		return refuse(err)
	}
	return f, fi, nil
}

func openRetry(dirfd int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dirfd, name, flags, 0)
		if err != unix.EINTR { //nolint:errorlint // an Errno as it comes from the system
			return fd, err
		}
	}
}

// Dir is an open folder. Its methods concern that very folder, even if its path names
// another one meanwhile. Not for concurrent use.
type Dir struct {
	disk Disk
	f    *os.File
	id   campaign.FileID
}

// OpenDir opens a folder; links are followed, since its path is the operator's.
func (d Disk) OpenDir(path string) (*Dir, error) {
	if err := d.fault(OpOpen, path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Dir{disk: d, f: f, id: FileID(fi)}, nil
}

// ID distinguishes this folder from another at the same path: Device and Inode.
func (d *Dir) ID() campaign.FileID { return d.id }

// Names calls each with every name in the folder except . and .., in no order. Names that
// appear or disappear meanwhile may be missing.
func (d *Dir) Names(each func(name string)) error {
	for {
		if err := d.disk.fault(OpRead, d.f.Name()); err != nil {
			return err
		}
		names, err := d.f.Readdirnames(1024)
		for _, name := range names {
			each(name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Stat describes the entry called name. It follows no link and opens nothing.
func (d *Dir) Stat(name string) (Stat, error) {
	st, err := statAt(int(d.f.Fd()), name)
	if err != nil {
		return Stat{}, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	return st, nil
}

// OpenRegular opens a file of the folder like the package's OpenRegular.
func (d *Dir) OpenRegular(name string) (*os.File, fs.FileInfo, error) {
	return d.disk.openAt(int(d.f.Fd()), name, name, false)
}

// Close closes the folder.
func (d *Dir) Close() error { return d.f.Close() }

// FreeSpace returns how many bytes an unprivileged process may still write to the file
// system of path.
func FreeSpace(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}
