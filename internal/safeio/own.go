package safeio

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Own makes a regular file this process's own, so that its former owner can't change it any
// more. The name goes to a copy with the same bytes and modification time that everyone may
// read and only its owner may write. A file that belongs to this process stays unchanged.
// ErrChanged means that the file was written to during the copy; after any error the old
// file remains.
//
// The file's former owner must not be able to write to the folder, or they keep the name.
func Own(path string) error { return Disk{}.Own(path) }

// Own is the package's Own on this disk.
func (d Disk) Own(path string) error {
	if err := d.own(path); err != nil {
		return fmt.Errorf("take over %q: %w", path, err)
	}
	return nil
}

func (d Disk) own(path string) error {
	src, before, err := d.OpenRegular(path)
	if err != nil {
		return err
	}
	defer src.Close() // read only
	if ours(before) {
		return nil
	}
	f, err := d.createTemp(filepath.Dir(path))
	if err != nil {
		return err
	}
	placed := false
	defer func() {
		if !placed {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := d.fault(OpWrite, f.Name()); err != nil {
		return err
	}
	// File to file: the kernel copies, or shares blocks where the file system can.
	if _, err := io.Copy(f, src); err != nil {
		return err
	}
	after, err := src.Stat()
	if err != nil {
		return err
	}
	if FileID(after) != FileID(before) {
		return ErrChanged
	}
	if err := os.Chtimes(f.Name(), time.Time{}, before.ModTime()); err != nil {
		return err
	}
	if err := d.seal(f, 0o644, true); err != nil {
		return err
	}
	if err := d.fault(OpRename, f.Name()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	placed = true
	return d.SyncDir(filepath.Dir(path))
}
