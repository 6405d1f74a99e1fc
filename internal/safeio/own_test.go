package safeio

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Own(path); err != nil {
		t.Fatal(err)
	}
	switch after, err := os.Stat(path); {
	case err != nil:
		t.Errorf("our own file was touched: %v", err)
	case !os.SameFile(before, after):
		t.Error("our own file was touched: os.SameFile(before, after) = false, want true")
	case after.Mode().Perm() != 0o600:
		t.Errorf("our own file was touched: after.Mode().Perm() = %v, want 0o600", after.Mode().Perm())
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Skip("giving a file away needs root: ", err)
	}
	theirs, err := os.OpenFile(path, os.O_RDWR, 0) // as their client may still have it
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	for _, op := range []Op{OpOpen, OpCreate, OpWrite, OpSync, OpRename} {
		d := Disk{Fault: func(o Op, _ string) error {
			if o == op {
				return unix.EIO
			}
			return nil
		}}
		if err := d.Own(path); !errors.Is(err, unix.EIO) {
			t.Errorf("%s fails: %v", op, err)
		}
		switch now, err := os.Stat(path); {
		case err != nil:
			t.Errorf("%s fails: %v", op, err)
		case !os.SameFile(before, now):
			t.Errorf("%s fails: os.SameFile(before, now) = false, want true", op)
		}
	}
	if err := Own(path); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.WriteAt([]byte("changed"), 0); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "theirs" {
		t.Errorf("%q %v", text, err)
	}
	after, err := os.Stat(path)
	switch {
	case err != nil:
		t.Error(err)
	case !ours(after):
		t.Error("ours(after): got false, want true")
	case after.Mode().Perm() != 0o644:
		t.Errorf("after.Mode().Perm(): got %v, want 0o644", after.Mode().Perm())
	case !after.ModTime().Equal(old):
		t.Errorf("after.ModTime(): got %v, want %v", after.ModTime(), old)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// A file written to while it is copied isn't taken over.
func TestOwnChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte("theirs"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Skip("giving a file away needs root: ", err)
	}
	d := Disk{Fault: func(op Op, _ string) error {
		if op == OpWrite {
			return os.WriteFile(path, []byte("theirs, and more"), 0o644)
		}
		return nil
	}}
	if err := d.Own(path); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "theirs, and more" {
		t.Errorf("%q %v", text, err)
	}
}
