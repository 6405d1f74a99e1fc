package safeio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
)

// FileID identifies the file that fi describes, from Lstat or an open file's Stat.
func FileID(fi fs.FileInfo) campaign.FileID { return statOf(fi).ID }

func statOf(fi fs.FileInfo) Stat {
	st := Stat{Mode: fi.Mode(), Links: 1, ID: campaign.FileID{
		Name: filepath.Base(fi.Name()), Size: fi.Size(), ModTime: fi.ModTime().UnixNano(),
	}}
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		st.Links = uint64(sys.Nlink)
		st.ID.Device, st.ID.Inode = sys.Dev, sys.Ino
		st.ID.Change = sys.Ctim.Nano()
	}
	return st
}

// ours reports whether a file belongs to the user of this process.
func ours(fi fs.FileInfo) bool {
	sys, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || int(sys.Uid) == os.Geteuid()
}

func statAt(dirfd int, name string) (Stat, error) {
	var sys unix.Stat_t
	for {
		err := unix.Fstatat(dirfd, name, &sys, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Stat{}, err
		}
		break
	}
	return Stat{Mode: fileMode(uint32(sys.Mode)), Links: uint64(sys.Nlink), ID: campaign.FileID{
		Name: filepath.Base(name), Size: sys.Size, Device: sys.Dev, Inode: sys.Ino,
		ModTime: sys.Mtim.Nano(), Change: sys.Ctim.Nano(),
	}}, nil
}

func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	case unix.S_IFCHR:
		m |= fs.ModeDevice | fs.ModeCharDevice
	default:
		m |= fs.ModeIrregular
	}
	return m
}

// Busy reports whether a process of this host has the file open for writing. It takes a
// read lease, which the kernel grants only if no writer exists, and gives it back at once.
// known is false where leases aren't available: network and FUSE file systems, or a file of
// another user without CAP_LEASE. f must be open for reading only. A writer that opens the
// file during the call waits for some microseconds.
func Busy(f *os.File) (busy, known bool) {
	conn, err := f.SyscallConn()
	if err != nil {
		return false, false
	}
	var lease error
	err = conn.Control(func(fd uintptr) {
		_, lease = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK)
		if lease == nil {
			_, lease = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
		}
	})
	switch {
	case err != nil:
		return false, false
	case errors.Is(lease, unix.EAGAIN):
		return true, true
	}
	return false, lease == nil
}

// renameNew renames without replacing, in one kernel step. errNoFlags means that the file
// system can't do that.
func renameNew(old, new string) error {
	for {
		err := unix.Renameat2(unix.AT_FDCWD, old, unix.AT_FDCWD, new, unix.RENAME_NOREPLACE)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EEXIST):
			return ErrExists
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP):
			return errNoFlags
		default:
			return &os.LinkError{Op: "rename", Old: old, New: new, Err: err}
		}
	}
}
