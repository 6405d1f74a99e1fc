package disk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"campaignd/test/programs"
)

// Disk is an ext4 file system in a file, mounted through a loop device.
type Disk struct {
	Image string // the file; its folder survives every cut
	At    string // mount point

	t *testing.T
}

// New creates and mounts a Disk of the given size, such as "128M", until the test ends. It skips
// the test with a reason where it can't.
func New(t *testing.T, size string) *Disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	dir := programs.ShortDir(t)
	d := &Disk{t: t, Image: filepath.Join(dir, "image"), At: filepath.Join(dir, "disk")}
	if err := os.Mkdir(d.At, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("truncate", "-s", size, d.Image).CombinedOutput(); err != nil {
		t.Skipf("create an image: %v: %s", err, out)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", d.Image).CombinedOutput(); err != nil {
		t.Skipf("create an ext4: %v: %s", err, out)
	}
	// In a shared mount, so that an unmount reaches the copies in other tests' mount namespaces. A copy
	// would keep the file system of before a cut alive, and the next mount would return that one.
	if err := errors.Join(unix.Mount(dir, dir, "", unix.MS_BIND, ""), unix.Mount("", dir, "", unix.MS_SHARED, "")); err != nil {
		t.Skipf("make a shared mount: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unmount(d.At), unmount(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := d.mount(); err != nil {
		t.Skipf("mount through a loop device: %v", err)
	}
	return d
}

func (d *Disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.Image, d.At).CombinedOutput(); err != nil {
		return fmt.Errorf("mount %s: %w: %s", d.At, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unmount unmounts the file system at path, if one is mounted.
func unmount(path string) error {
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Unmount(path, 0)
		if err == nil || errors.Is(err, unix.EINVAL) { // EINVAL: not mounted
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}

// Cut drops everything that isn't synced, as a power cut does. The file system fails from then on,
// until Remount.
func (d *Disk) Cut() {
	d.t.Helper()
	const shutdown, noLogFlush = 0x8004587d, uint32(2) // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	f, err := os.Open(d.At)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	how := noLogFlush
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		d.t.Skipf("this kernel can't shut an ext4 down: %v", errno)
	}
}

// Remount mounts the file system again. No process may have files open on it.
func (d *Disk) Remount() {
	d.t.Helper()
	if err := errors.Join(unmount(d.At), d.mount()); err != nil {
		d.t.Fatal(err)
	}
}

// Sync writes the whole file system at path to its disk.
func Sync(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
}
