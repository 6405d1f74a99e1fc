// Package safeio does durable file work: it writes a file completely or not at all, moves
// files and folders without overwriting or losing one, and opens hostile files safely.
//
// The order is the same everywhere: content synced, name in place, folder synced, and only
// then is anything removed. When a function returns nil, its effect survives a power cut.
// When it returns an error, either nothing has changed or both the old and the new file are
// complete. A crash leaves at most temporary names (IsTemp), which RemoveTemps removes.
//
// Three functions leave a sync to their caller, who syncs once for many files, or not at all
// for files made again at every start: Rename, PlaceFile and ReplaceFile.
//
// Moves between two mounts are here because done/ and failed/ may be on another disk, and because
// bind mounts of one disk count as two (EXDEV): without them a drop would stay in accepted/ for ever.
//
// The package decides nothing about drops: its callers choose which file goes where. Every
// step goes through Disk, so that tests can make each one fail.
package safeio

import (
	"errors"
	"io"
	"os"

	"campaignd/internal/failpoint"
)

// ErrExists is returned when the target of a move exists; nothing was changed.
var ErrExists = errors.New("the target exists already")

// ErrChanged is returned when a file changed while it was copied; the source remains, the
// copy is removed.
var ErrChanged = errors.New("the file changed while it was copied")

// ErrDiffers is returned when a copy, read back, differs from its source; the source
// remains, the copy is removed.
var ErrDiffers = errors.New("the copy differs from its source")

// ErrLink is returned for a symbolic link in place of a file. It was not followed.
var ErrLink = errors.New("is a symbolic link, not a file")

// ErrHardLinked is returned when a file has more than one name.
var ErrHardLinked = errors.New("has more than one hard link")

// ErrNotRegular is returned for a FIFO, a device, a socket or a folder in place of a file.
// It was not opened, or opened without waiting.
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

// Disk does the work of this package. The zero value is the real disk, which the package's
// functions use. A Disk with a Fault is for tests.
type Disk struct {
	// Fault, if set, is called before every step with its path. An error makes the step
	// fail without being done. EXDEV at OpRename makes a move behave as between two
	// file systems.
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

// faultWriter writes to a file and can fail before each write.
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

// faultReader reads from a file and can fail before each read.
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
