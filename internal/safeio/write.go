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

// Temporary names begin with a dot, so that watchers and partners pass them
// by, and don't hold the final name, which may be 255 bytes long already.
const (
	tempPrefix  = ".campaignd-"
	tempSuffix  = ".tmp"
	tempPattern = tempPrefix + "*" + tempSuffix
)

// IsTemp reports whether a base name is one of this package's temporary names.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// WriteFile replaces path by what write writes, with the permissions mode
// (umask or not). Readers see the old content or the new, never a part; when it
// returns nil the new one is durable. After an error the old one stands, unless
// the folder's fsync was what failed: then the new one stands, perhaps not for
// ever. The writer is buffered. A symbolic link at path is replaced itself.
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

// PlaceFile is WriteFile without the sync of the folder, for several files of one: their
// content is durable, and once SyncDir has returned nil their names are too.
func PlaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return wrapWriteError(path, Disk{}.replace(path, mode, true, write))
}

// ReplaceFile is WriteFile without any sync. Readers see the old content or the new;
// after a power cut there may be neither, so it is for what is made anew then.
func ReplaceFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	return wrapWriteError(path, Disk{}.replace(path, mode, false, write))
}

func wrapWriteError(path string, err error) error {
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// replace is all of WriteFile but the sync of the folder.
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

// seal sets the permissions of a finished file, syncs it if it is to be durable, and closes
// it. The error of Close counts: some network file systems report a failed write only there.
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

// SyncDir makes the names in a folder durable. Where the file system has no
// fsync for folders (EINVAL, ENOTSUP) there is nothing to be done and no error.
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

// SyncFile makes the content of a regular file durable, whoever wrote it: an
// upload that was just closed may be in memory alone.
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

// RemoveTemps removes what a crash left behind in a folder: temporary files and
// folders of this package, by name. Call it only where nothing else writes.
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
