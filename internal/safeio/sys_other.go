//go:build unix && !linux

package safeio

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
)

// FileID identifies the file that fi was taken of by its name, size and time
// alone: this system is for trying things out, not for service.
func FileID(fi fs.FileInfo) campaign.FileID { return statOf(fi).ID }

func statOf(fi fs.FileInfo) Stat {
	return Stat{Mode: fi.Mode(), Links: 1, ID: campaign.FileID{
		Name: filepath.Base(fi.Name()), Size: fi.Size(), ModTime: fi.ModTime().UnixNano(),
	}}
}

// statAt leaves device, inode and ctime out, so that both ways to a FileID agree.
func statAt(dirfd int, name string) (Stat, error) {
	var sys unix.Stat_t
	if err := unix.Fstatat(dirfd, name, &sys, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Stat{}, err
	}
	st := Stat{Links: uint64(sys.Nlink), ID: campaign.FileID{
		Name: filepath.Base(name), Size: sys.Size, ModTime: sys.Mtim.Nano(),
	}}
	switch uint32(sys.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		st.Mode = fs.ModeDir
	case unix.S_IFLNK:
		st.Mode = fs.ModeSymlink
	default:
		st.Mode = fs.ModeIrregular
	}
	return st, nil
}

// makeNode is Linux's.
func makeNode(fs.FileInfo, string) error { return ErrNotRegular }

// Busy knows nothing here: read leases are Linux's.
func Busy(*os.File) (busy, known bool) { return false, false }

func renameNew(string, string) error { return errNoFlags }

// ours takes every file for this process's own: see FileID.
func ours(fs.FileInfo) bool { return true }
