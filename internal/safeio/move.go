package safeio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// errNoFlags is returned by renameNew when the file system doesn't support RENAME_NOREPLACE.
var errNoFlags = errors.New("rename without replacing is not supported")

// Move renames a file and syncs both folders. It never overwrites: ErrExists. Any kind of
// file is moved unchanged, and links aren't followed. Between two mounts (EXDEV, also two
// of one file system) it copies a regular file under a temporary name, syncs it, reads it
// back, compares digests, places the name, syncs, and only then removes old. Called again
// after a crash that left both names, it finishes if they hold the same bytes.
func Move(old, new string) error { return Disk{}.Move(old, new) }

// Move is the package's Move on this disk.
func (d Disk) Move(old, new string) error {
	if err := d.Rename(old, new); err != nil {
		return err
	}
	if err := d.SyncMove(filepath.Dir(old), filepath.Dir(new)); err != nil {
		return fmt.Errorf("move %q to %q: %w", old, new, err)
	}
	return nil
}

// Rename is Move without the sync of the two folders, for callers that move several files:
// the new names are durable once SyncMove has returned nil.
func Rename(old, new string) error { return Disk{}.Rename(old, new) }

// Rename is the package's Rename on this disk.
func (d Disk) Rename(old, new string) error {
	err := d.rename(old, new)
	switch {
	case errors.Is(err, unix.EXDEV):
		err = d.moveAcross(old, new)
	case errors.Is(err, ErrExists) && twoNames(old, new):
		err = d.remove(old) // left by a link + unlink move that a crash interrupted
	}
	if err != nil {
		return fmt.Errorf("move %q to %q: %w", old, new, err)
	}
	return nil
}

// MoveDir moves a folder with its content as Move moves a file: by one rename, or between
// two mounts by a checked copy of its files and folders that gets its name only when complete.
// Entries of other kinds are never opened, and such a copy doesn't have them.
func MoveDir(old, new string) error { return Disk{}.MoveDir(old, new) }

// MoveDir is the package's MoveDir on this disk.
func (d Disk) MoveDir(old, new string) error {
	err := d.rename(old, new)
	if errors.Is(err, unix.EXDEV) {
		err = d.moveDirAcross(old, new)
	}
	if err == nil {
		err = d.SyncMove(filepath.Dir(old), filepath.Dir(new))
	}
	if err != nil {
		return fmt.Errorf("move folder %q to %q: %w", old, new, err)
	}
	return nil
}

// SyncMove makes renames from one folder into another durable. It syncs the new names
// first: after a power cut between the two syncs a file is in both folders, not in none.
func SyncMove(from, to string) error { return Disk{}.SyncMove(from, to) }

// SyncMove is the package's SyncMove on this disk.
func (d Disk) SyncMove(from, to string) error {
	if err := d.SyncDir(to); err != nil || to == from {
		return err
	}
	return d.SyncDir(from)
}

// rename renames without replacing, in the best way the file system supports.
func (d Disk) rename(old, new string) error {
	if err := d.fault(OpRename, old); err != nil {
		if errors.Is(err, errNoFlags) {
			return d.renameByLink(old, new)
		}
		return err
	}
	err := renameNew(old, new)
	if errors.Is(err, errNoFlags) {
		return d.renameByLink(old, new)
	}
	return err
}

// renameByLink gives a file its second name, which fails if that is taken, and removes the
// first. For folders, and where there are no hard links, it checks before it renames: at
// worst it replaces an empty folder, or a file that another process made under one of
// campaignd's names.
func (d Disk) renameByLink(old, new string) error {
	fi, err := os.Lstat(old)
	if err != nil {
		return err
	}
	if fi.Mode().IsRegular() {
		err := os.Link(old, new)
		switch {
		case err == nil:
			if err := d.remove(old); err != nil {
				return errors.Join(err, os.Remove(new))
			}
			return nil
		case errors.Is(err, fs.ErrExist):
			return ErrExists
		case errors.Is(err, unix.EXDEV), errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if _, err := os.Lstat(new); err == nil {
		return ErrExists
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(old, new)
}

func (d Disk) remove(path string) error {
	if err := d.fault(OpRemove, path); err != nil {
		return err
	}
	return os.Remove(path)
}

// twoNames reports whether old and new are two names of one file, so that
// removing one keeps the other.
func twoNames(old, new string) bool {
	a, err := os.Lstat(old)
	if err != nil {
		return false
	}
	b, err := os.Lstat(new)
	if err != nil || !os.SameFile(a, b) || statOf(a).Links < 2 {
		return false
	}
	if filepath.Base(old) != filepath.Base(new) {
		return true
	}
	da, err := os.Stat(filepath.Dir(old))
	if err != nil {
		return false
	}
	db, err := os.Stat(filepath.Dir(new))
	return err == nil && !os.SameFile(da, db)
}
