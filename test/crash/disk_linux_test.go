package crash

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disk is a file system in a file, mounted through a loop device.
type disk struct {
	t     *testing.T
	image string
	at    string // mount point
}

// newDisk creates an ext4 of the given size in MiB, or skips the test with a reason.
func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	dir := t.TempDir()
	d := &disk{t: t, image: filepath.Join(dir, "image"), at: filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.at, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("truncate", "-s", size, d.image).CombinedOutput(); err != nil {
		t.Skipf("create an image: %v: %s", err, out)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.image).CombinedOutput(); err != nil {
		t.Skipf("create an ext4: %v: %s", err, out)
	}
	if err := d.mount(); err != nil {
		t.Skipf("mount through a loop device: %v", err)
	}
	t.Cleanup(d.unmount)
	return d
}

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.at).CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}

// unmount unmounts the file system. No process may have files open on it.
func (d *disk) unmount() {
	if !waitFor(10*time.Second, func() bool {
		err := unix.Unmount(d.at, 0)
		return err == nil || errors.Is(err, unix.EINVAL) // EINVAL: not mounted
	}) {
		d.t.Errorf("%s can't be unmounted", d.at)
	}
}

// cut drops everything that isn't synced, as a power cut does. The file system fails from then on.
func (d *disk) cut() {
	d.t.Helper()
	const shutdown, noLogFlush = 0x8004587d, uint32(2) // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	f, err := os.Open(d.at)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	how := noLogFlush
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		d.t.Skipf("this kernel can't shut an ext4 down: %v", errno)
	}
}

func syncFS(f *os.File) error { return unix.Syncfs(int(f.Fd())) }
