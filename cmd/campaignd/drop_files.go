package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/check"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// temporaryEnding marks a file of a drop that is still being written. While there is one the
// daemon doesn't take the drop (docs/contract.md 2).
const temporaryEnding = ".part"

// memoryPart returns data as a file of a drop. The file has no name.
func memoryPart(name string, data []byte) (check.Part, error) {
	f, err := check.SpillFile("")
	if err != nil {
		return check.Part{}, err
	}
	if _, err := f.Write(data); err != nil {
		return check.Part{}, errors.Join(fmt.Errorf("make temporary file: %w", err), f.Close())
	}
	return check.Part{Name: name, File: f}, nil
}

// free returns an error if the inbox has files of that name, or isn't there.
func (d *handDrop) free() error {
	entries, err := os.ReadDir(d.inbox.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return exitError{exitUsage, fmt.Errorf("the inbox %s isn't there; make the folder, or mount its disk", d.inbox.Path)}
	}
	if errors.Is(err, fs.ErrPermission) {
		return exitError{exitFailed, fmt.Errorf("you may not read the inbox %s", d.inbox.Path)}
	}
	if err != nil {
		return fmt.Errorf("read inbox: %w", err)
	}
	for _, e := range entries {
		if n := watch.ParseName(e.Name()); n.Base == norm.NFC.String(d.name) {
			return exitError{exitFailed, fmt.Errorf("%s already has %s, which the daemon hasn't taken yet: wait, or give another name with --name", d.inbox.Path, e.Name())}
		}
	}
	return nil
}

// put puts the drop into its inbox: all files under temporary names first, then each under its
// own name, the sidecar last, which commits the drop. After an error nothing of it is left.
func (d *handDrop) put() (err error) {
	names := []string{d.name + d.ending, d.name + ".layout.json", d.name + ".schedule.json"}
	contents := []func(io.Writer) error{d.copyCSV, writeBytes(d.layout), writeBytes(d.sidecar)}
	var made []string // to be removed after an error
	defer func() {
		if err == nil {
			return
		}
		for _, path := range made {
			_ = os.Remove(path) // the first error is the one to know
		}
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("you may not write to the inbox %s: run this as the daemon's user or the inbox's owner", d.inbox.Path)
		}
	}()
	for i, name := range names {
		path := filepath.Join(d.inbox.Path, name+temporaryEnding)
		if err := d.write(path, contents[i], &made); err != nil {
			return err
		}
	}
	for i, name := range names {
		from, to := made[i], filepath.Join(d.inbox.Path, name)
		if err := safeio.Rename(from, to); err != nil {
			return fmt.Errorf("drop %s: %w", d.name, err)
		}
		made[i] = to
	}
	return safeio.SyncDir(d.inbox.Path)
}

// write writes and syncs one file, which belongs to the owner of the inbox if root drops it.
func (d *handDrop) write(path string, content func(io.Writer) error, made *[]string) error {
	// The mode of the inbox decides who may enter it; the daemon is often another user.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("drop %s: %w", d.name, err)
	}
	*made = append(*made, path)
	if err := content(f); err != nil {
		return errors.Join(fmt.Errorf("drop %s: %w", d.name, err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("drop %s: %w", d.name, err), f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("drop %s: %w", d.name, err)
	}
	return nil
}

func writeBytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// copyCSV copies the CSV and compares it with what was checked.
func (d *handDrop) copyCSV(w io.Writer) error {
	f, err := openNamed(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, digest), f); err != nil {
		return err
	}
	if hex.EncodeToString(digest.Sum(nil)) != d.sha256 {
		return fmt.Errorf("%s has changed since it was checked: run this again", d.path)
	}
	return nil
}
