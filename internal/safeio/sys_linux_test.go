package safeio

import (
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"
)

func TestModes(t *testing.T) {
	for sys, want := range map[uint32]fs.FileMode{
		unix.S_IFREG | 0o644: 0o644, unix.S_IFDIR | 0o755: fs.ModeDir | 0o755, unix.S_IFLNK: fs.ModeSymlink, unix.S_IFIFO: fs.ModeNamedPipe,
		unix.S_IFSOCK: fs.ModeSocket, unix.S_IFBLK: fs.ModeDevice, unix.S_IFCHR: fs.ModeDevice | fs.ModeCharDevice, 0: fs.ModeIrregular,
	} {
		if got := fileMode(sys); got != want {
			t.Errorf("fileMode(%o) is %v, want %v", sys, got, want)
		}
	}
}
