package safeio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Advice tells a person in a few words what to do about a disk error; "" for any other error.
func Advice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "make room on its disk"
	case errors.Is(err, syscall.EDQUOT):
		return "raise the quota of the daemon's user, or make room"
	case errors.Is(err, syscall.EROFS):
		return "mount its file system writable again; see the kernel's log for why it isn't"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "let the daemon's user read and write there"
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return "see the disk and the kernel's log"
	case errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ENOTCONN):
		return "mount its file system again"
	}
	return ""
}

// withoutPath removes the path of a temporary file, which differs each time, so that equal
// failures read the same.
func withoutPath(err error) error {
	switch e := err.(type) {
	case *fs.PathError:
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	case *os.LinkError:
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}
