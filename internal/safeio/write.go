package safeio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Temporary names begin with a dot, so that watchers and partners skip them, and don't
// contain the final name, which may already have 255 bytes.
const (
	tempPrefix  = ".campaignd-"
	tempSuffix  = ".tmp"
	tempPattern = tempPrefix + "*" + tempSuffix
)

// IsTemp reports whether a base name is one of this package's temporary names.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// WriteFile replaces path by the output of write, with the permissions mode regardless of
// the umask. Readers see the old content or the new, never a part; when it returns nil, the
// new content is durable. After an error the old content remains, unless only the folder's
// fsync failed: then path has the new content, which a power cut may undo. The writer is
// buffered. A symbolic link at path is itself replaced.
func WriteFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return Disk{}.WriteFile(path, mode, write)
}

// WriteFile is the package's WriteFile on this disk.
func (d Disk) WriteFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	err := d.replace(path, mode, true, write)
	if err == nil {
		err = withoutPath(d.SyncDir(filepath.Dir(path)))
	}
	return wrapWriteError(path, err)
}

// PlaceFile is WriteFile without the folder's sync, for callers that write several files:
// the content is durable, and the names are too once SyncDir has returned nil.
func PlaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return wrapWriteError(path, Disk{}.replace(path, mode, true, write))
}

// ReplaceFile is WriteFile without any sync. Readers see the old content or the new. A power
// cut may lose both, so use it for files that are made again then.
func ReplaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return wrapWriteError(path, Disk{}.replace(path, mode, false, write))
}

func wrapWriteError(path string, err error) error {
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// replace is WriteFile without the folder's sync.
func (d Disk) replace(path string, mode fs.FileMode, durable bool, write func(io.Writer) error) error {
	f, err := d.createTemp(filepath.Dir(path))
	if err != nil {
		return withoutPath(err)
	}
	temp, placed := f.Name(), false
	defer func() { // also if write panics
		if !placed {
			_ = f.Close()
			_ = os.Remove(temp)
		}
	}()
	w := bufio.NewWriterSize(faultWriter{d, f}, 64<<10)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := d.seal(f, mode, durable); err != nil {
		return withoutPath(err)
	}
	if err := d.fault(OpRename, temp); err != nil {
		return withoutPath(err)
	}
	if err := os.Rename(temp, path); err != nil {
		return withoutPath(err)
	}
	placed = true
	return nil
}

func (d Disk) createTemp(dir string) (*os.File, error) {
	if err := d.fault(OpCreate, dir); err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, tempPattern)
}

// seal sets the permissions of a finished file, syncs it if it must be durable, and closes
// it. An error of Close counts: some network file systems report a failed write only there.
func (d Disk) seal(f *os.File, mode fs.FileMode, durable bool) error {
	if err := f.Chmod(mode.Perm()); err != nil {
		return err
	}
	if !durable {
		return f.Close()
	}
	if err := d.fault(OpSync, f.Name()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// SyncDir makes the names in a folder durable. It does nothing where the file system has no
// fsync for folders (EINVAL, ENOTSUP).
func SyncDir(path string) error { return Disk{}.SyncDir(path) }

// SyncDir is the package's SyncDir on this disk.
func (d Disk) SyncDir(path string) error {
	if err := d.fault(OpSyncDir, path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// SyncFile makes the content of a regular file durable, whoever wrote it: a finished upload
// may still be only in memory.
func SyncFile(path string) error { return Disk{}.SyncFile(path) }

// SyncFile is the package's SyncFile on this disk.
func (d Disk) SyncFile(path string) error {
	f, _, err := d.OpenRegular(path)
	if err != nil {
		return err
	}
	if err := d.fault(OpSync, path); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// RemoveTemps removes this package's temporary files and folders, left by a crash in a
// folder. Call it only where nothing else writes.
func RemoveTemps(dir string) error { return Disk{}.RemoveTemps(dir) }

// RemoveTemps is the package's RemoveTemps on this disk.
func (d Disk) RemoveTemps(dir string) error {
	if err := d.fault(OpOpen, dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !IsTemp(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if ferr := d.fault(OpRemove, path); ferr != nil {
			err = errors.Join(err, ferr)
			continue
		}
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
