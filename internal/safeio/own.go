package safeio

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Own makes a regular file this process's own, so that whoever owned it can change
// it no more: its name goes to a copy with the same bytes and modification time
// that everyone may read and its owner alone write. A file that belongs to this process
// already is left as it is. ErrChanged means that it was written to while it was
// copied; then, and after any other error, the old file stands.
//
// The folder has to be one that the file's owner can't write to: else the name is theirs.
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
	// From file to file: within the kernel, or shared blocks where the file system can.
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
