package safeio

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// digest is a SHA-256.
type digest [sha256.Size]byte

// moveAcross moves a regular file between two mounts. The caller syncs the folders once more.
func (d Disk) moveAcross(old, new string) error {
	src, before, err := d.OpenRegular(old)
	if err != nil {
		return err
	}
	defer src.Close() // read only
	_, err = os.Lstat(new)
	resumed := err == nil
	if resumed {
		same, err := d.same(old, new)
		if err != nil {
			return err
		}
		if !same {
			return ErrExists
		}
		if err := d.SyncFile(new); err != nil {
			return err
		}
	} else if err := d.copyNew(src, before, old, new); err != nil {
		return err
	}
	if err := d.SyncDir(filepath.Dir(new)); err != nil {
		return err
	}
	// The name may belong to another file by now, which wasn't copied.
	now, err := os.Lstat(old)
	if err != nil {
		return err
	}
	switch {
	case FileID(now) == FileID(before):
		return d.remove(old)
	case resumed: // the copy was made by an earlier call: don't remove it
		return ErrChanged
	}
	return errors.Join(ErrChanged, os.Remove(new))
}

// copyNew makes new a checked, synced copy of src, or leaves nothing.
func (d Disk) copyNew(src *os.File, before fs.FileInfo, old, new string) error {
	temp, err := d.copyTemp(src, before, old, filepath.Dir(new))
	if err != nil {
		return err
	}
	if err := d.rename(temp, new); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// copyTemp copies src into a temporary file in dir, syncs it, and reads it back
// to compare. Permissions and modification time are kept.
func (d Disk) copyTemp(src *os.File, before fs.FileInfo, old, dir string) (temp string, err error) {
	// A sparse giant would fill the disk before it failed.
	if free, err := FreeSpace(dir); err == nil && uint64(before.Size()) > free {
		return "", fmt.Errorf("copy %q of %d bytes with %d bytes free: %w", old, before.Size(), free, unix.ENOSPC)
	}
	f, err := d.createTemp(dir)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(faultWriter{d, f}, sum), faultReader{d, src, old})
	if err != nil {
		return "", err
	}
	if err := os.Chtimes(f.Name(), time.Time{}, before.ModTime()); err != nil {
		return "", err
	}
	if err := d.seal(f, before.Mode(), true); err != nil {
		return "", err
	}
	after, err := src.Stat()
	if err != nil {
		return "", err
	}
	if n != before.Size() || FileID(after) != FileID(before) {
		return "", ErrChanged
	}
	back, err := d.sum(f.Name())
	if err != nil {
		return "", err
	}
	if back != digest(sum.Sum(nil)) {
		return "", ErrDiffers
	}
	return f.Name(), nil
}

func (d Disk) sum(path string) (digest, error) {
	f, _, err := d.openLinked(path)
	if err != nil {
		return digest{}, err
	}
	defer f.Close() // read only
	h := sha256.New()
	if _, err := io.Copy(h, faultReader{d, f, path}); err != nil {
		return digest{}, err
	}
	return digest(h.Sum(nil)), nil
}

// same reports whether two regular files hold the same bytes.
func (d Disk) same(a, b string) (bool, error) {
	x, err := d.sum(a)
	if err != nil {
		return false, err
	}
	y, err := d.sum(b)
	return err == nil && x == y, err
}

// moveDirAcross moves a folder between two mounts.
func (d Disk) moveDirAcross(old, new string) error {
	if _, err := os.Lstat(new); err == nil {
		// A crash after the copy was placed leaves both; anything else stays unchanged.
		if held, err := d.holds(new, old); err != nil || !held {
			return errors.Join(ErrExists, err)
		}
	} else {
		if err := d.fault(OpCreate, filepath.Dir(new)); err != nil {
			return err
		}
		temp, err := os.MkdirTemp(filepath.Dir(new), tempPattern)
		if err != nil {
			return err
		}
		err = d.copyTree(old, temp)
		if err == nil {
			err = d.rename(temp, new)
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(temp))
		}
	}
	if err := d.SyncDir(filepath.Dir(new)); err != nil {
		return err
	}
	return d.removeTree(old, new)
}

// copyTree fills the empty folder to with checked, synced copies of the files and folders in from.
// A refused drop may hold anything: links, FIFOs, sockets and devices have no content and are left out,
// and a file with several names is copied like any other.
func (d Disk) copyTree(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("copy folder %q: %w", from, unix.ENOTDIR)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			if err := os.Mkdir(b, 0o700); err != nil {
				return err
			}
			if err := d.copyTree(a, b); err != nil {
				return err
			}
			continue
		}
		if !e.Type().IsRegular() {
			continue
		}
		src, before, err := d.openLinked(a)
		if err != nil {
			return err
		}
		err = d.copyNew(src, before, a, b)
		_ = src.Close() // read only
		if err != nil {
			return err
		}
	}
	if err := os.Chmod(to, fi.Mode().Perm()); err != nil {
		return err
	}
	return d.SyncDir(to)
}

// holds reports whether every file below from is in to with the same bytes.
func (d Disk) holds(to, from string) (bool, error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if _, err := os.Lstat(b); err != nil {
			return false, nil
		}
		same := d.same
		if e.IsDir() {
			same = d.holds
		}
		if held, err := same(b, a); err != nil || !held {
			return false, err
		}
	}
	return true, nil
}

// removeTree removes the files of from that kept has too, and what has no content. A file added or changed
// after the copy stays with its folder, and is an error.
func (d Disk) removeTree(from, kept string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		a, b := filepath.Join(from, e.Name()), filepath.Join(kept, e.Name())
		have, err := os.Lstat(a)
		if err != nil {
			return err
		}
		copied, err := os.Lstat(b)
		switch {
		case !have.IsDir() && !have.Mode().IsRegular():
			err = d.remove(a)
		case err != nil:
			return fmt.Errorf("%q came while its folder was copied: %w", a, ErrChanged)
		case have.IsDir():
			err = d.removeTree(a, b)
		case have.Size() != copied.Size() || !have.ModTime().Equal(copied.ModTime()):
			err = fmt.Errorf("%q: %w", a, ErrChanged)
		default:
			err = d.remove(a)
		}
		if err != nil {
			return err
		}
	}
	return d.remove(from)
}
