package safeio

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Two file systems that are really two: the temporary folder's and /dev/shm.
func TestMoveBetweenRealMountsKeepsTheFile(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "safeio-*")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(other)
	dir, old, _ := folders(t)
	there := filepath.Join(other, "f")
	if err := os.Rename(old, there); !errors.Is(err, unix.EXDEV) {
		t.Skip("one file system:", err)
	}
	if err := Move(old, there); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"f": "content"}, look(t, other)); diff != "" {
		t.Error(diff)
	}
	put(t, old, "other")
	if err := Move(old, there); !errors.Is(err, ErrExists) {
		t.Errorf("error is %v, want ErrExists", err)
	}
	put(t, old, "content") // a crash before the source was removed
	if err := Move(old, there); err != nil {
		t.Error(err)
	}
	back := filepath.Join(dir, "back")
	if err := MoveDir(other, back); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"from/": "", "to/": "", "back/": "", "back/f": "content"}
	if diff := cmp.Diff(want, look(t, dir)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Lstat(other); err == nil {
		t.Error("the source folder is still there")
	}
}
