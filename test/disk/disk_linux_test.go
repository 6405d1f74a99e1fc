package disk

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Another test's mount namespace has a copy of the mount while the power is cut.
func TestRemountBesideAnotherNamespace(t *testing.T) {
	d := New(t, "16M")
	copied, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the namespace ends with the thread
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
		}
		copied <- err
		<-done
	}()
	defer close(done)
	if err := <-copied; err != nil {
		t.Skipf("make a mount namespace: %v", err)
	}
	d.Cut()
	d.Remount()
	if err := os.WriteFile(filepath.Join(d.At, "file"), nil, 0o600); err != nil {
		t.Errorf("after the power is back: %v", err)
	}
}
