//go:build unix && !linux

package safeio

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
)

// FileID identifies a file only by its name, size and time: this system is for trying
// campaignd, not for service.
func FileID(fi fs.FileInfo) campaign.FileID { return statOf(fi).ID }

func statOf(fi fs.FileInfo) Stat {
	return Stat{Mode: fi.Mode(), Links: 1, ID: campaign.FileID{
		Name: filepath.Base(fi.Name()), Size: fi.Size(), ModTime: fi.ModTime().UnixNano(),
	}}
}

// statAt omits device, inode and ctime, so that it agrees with FileID.
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

// Busy never knows: read leases exist on Linux only.
func Busy(*os.File) (busy, known bool) { return false, false }

func renameNew(string, string) error { return errNoFlags }

// ours accepts every file as this process's own: see FileID.
func ours(fs.FileInfo) bool { return true }
