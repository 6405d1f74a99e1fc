package outbox

import (
	"errors"
	"os"
	"syscall"
)

// file and disk are the operations of files that the outbox uses: so
// that tests can have them fail at every step.
type file interface {
	Write(p []byte) (int, error)
	ReadAt(p []byte, off int64) (int, error)
	Sync() error
	Stat() (os.FileInfo, error)
	Truncate(size int64) error
	Close() error
}

type disk interface {
	Open(path string) (f file, made bool, err error)
	Stat(path string) (os.FileInfo, error)
	SyncDir(path string) error
}

type osDisk struct{}

// Open opens for appending without waiting for anyone (a FIFO's reader), and says whether the file is new.
func (osDisk) Open(path string) (file, bool, error) {
	const flags = os.O_RDWR | os.O_APPEND | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		return f, true, nil
	}
	if !errors.Is(err, os.ErrExist) {
		return nil, false, err
	}
	f, err = os.OpenFile(path, flags|os.O_CREATE, mode)
	if err != nil {
		return nil, false, err
	}
	return f, false, nil
}

func (osDisk) Stat(path string) (os.FileInfo, error) { return os.Stat(path) }

// SyncDir makes the names in a folder durable.
func (osDisk) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	err = dir.Sync()
	return errors.Join(err, dir.Close())
}
