// Package safeio is durable file work: write a file whole or not at all, move
// files and folders without ever overwriting or losing one, and open hostile
// files without being led astray.
//
// The order is the same everywhere: content synced, name in place, folder
// synced, and only then is anything removed. When a function returns nil, what
// it did is true after a power cut; when it returns an error, either nothing
// has changed or both the old and the new stand whole. A crash leaves at most
// temporary names behind (IsTemp), which RemoveTemps clears away.
//
// Three functions leave a sync to their caller, who does one for many, or none for what
// is made anew at every start: Rename, PlaceFile and ReplaceFile.
//
// It decides nothing about drops: which file goes where is its callers'
// business. Every step goes through Disk, so that tests can let each one fail.
package safeio

import (
	"errors"
	"io"
	"os"

	"campaignd/internal/failpoint"
)

// ErrExists is returned when the target of a move is there already; nothing was changed.
var ErrExists = errors.New("the target exists already")

// ErrChanged is returned when a file changed while it was copied; the source
// stands, the copy is gone.
var ErrChanged = errors.New("the file changed while it was copied")

// ErrDiffers is returned when a copy, read back, isn't what was read from its
// source; the source stands, the copy is gone.
var ErrDiffers = errors.New("the copy differs from its source")

// ErrLink is returned when a symbolic link stands where a file is wanted. It was not followed.
var ErrLink = errors.New("is a symbolic link, not a file")

// ErrHardLinked is returned when a file has more than one name.
var ErrHardLinked = errors.New("has more than one hard link")

// ErrNotRegular is returned when a FIFO, a device, a socket or a folder stands
// where a file is wanted. It was not opened, or without waiting.
var ErrNotRegular = errors.New("is not a regular file")

// Op names a step of file work, for Disk.Fault.
type Op string

// The steps.
const (
	OpCreate  Op = "create"  // a temporary file or folder
	OpWrite   Op = "write"   // a part of a file's content
	OpSync    Op = "sync"    // a file's fsync
	OpRename  Op = "rename"  // path is the old name
	OpSyncDir Op = "syncdir" // a folder's fsync
	OpOpen    Op = "open"    // for reading, folders included
	OpRead    Op = "read"    // a part of a file's content
	OpRemove  Op = "remove"
)

// Disk does the work of this package. The zero value is the real disk, and the
// functions of the package use it; a Disk with a Fault is for tests.
type Disk struct {
	// Fault, if set, is called before every step with the path it is about. An
	// error stands for the failure of the step, which is then not done. EXDEV
	// at OpRename makes a move behave as between two file systems.
	Fault func(op Op, path string) error
}

func (d Disk) fault(op Op, path string) error {
	if err := failpoint.Err(failpoint.Name(op)); err != nil {
		return &os.PathError{Op: string(op), Path: path, Err: err}
	}
	if d.Fault == nil {
		return nil
	}
	if err := d.Fault(op, path); err != nil {
		return &os.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// faultWriter writes to a file with a fault's chance before each write.
type faultWriter struct {
	d Disk
	f *os.File
}

func (w faultWriter) Write(p []byte) (int, error) {
	if err := w.d.fault(OpWrite, w.f.Name()); err != nil {
		return 0, withoutPath(err)
	}
	n, err := w.f.Write(p)
	return n, withoutPath(err)
}

// faultReader reads from a file with a fault's chance before each read.
type faultReader struct {
	d Disk
	f io.Reader
	p string
}

func (r faultReader) Read(p []byte) (int, error) {
	if err := r.d.fault(OpRead, r.p); err != nil {
		return 0, err
	}
	return r.f.Read(p)
}
