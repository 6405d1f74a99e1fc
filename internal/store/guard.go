package store

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
)

// guard watches the file of an open store. bbolt reads it through a memory map. If the
// file is truncated, the kernel kills the process at the first missing page. So the
// store checks the file's size before every transaction, and catches the faults that
// remain. A truncated store is abandoned for good: writing to it would damage it further.
type guard struct {
	file  *os.File     // bbolt's own; replaced with db, under the store's mu
	least atomic.Int64 // bytes that the last commit needs

	once  sync.Once
	ended chan struct{} // closed once err is set
	err   error
}

// ErrMoved is returned by writes while the store's path doesn't name the open file: it
// was removed, renamed or replaced.
var ErrMoved = errors.New("the store's file was moved away or replaced while campaignd runs")

// ErrUnsynced is returned when a sync of the store's file failed. The kernel may have dropped what it
// couldn't write and reports that only once, so nobody knows what is on the disk. The process must
// end: the next start reads what there is and recovers.
var ErrUnsynced = errors.New("the store's file can't be synced; campaignd ends, and its next start continues from what is on the disk")

// Ended is closed when the store is abandoned because its file was truncated while open or can't be synced.
// Every method returns Err from then on, and the process should end.
func (s *Store) Ended() <-chan struct{} { return s.guard.ended }

// Err returns the ErrDamaged or ErrUnsynced for which the store was abandoned, or nil.
func (s *Store) Err() error {
	select {
	case <-s.guard.ended:
		return s.guard.err
	default:
		return nil
	}
}

// checkSize checks that the file hasn't become shorter than the last commit needs. s.mu is held.
func (s *Store) checkSize() error {
	if err := s.Err(); err != nil {
		return err
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(s.guard.file.Fd()), &stat); err != nil {
		return fmt.Errorf("stat the store's file: %w", err)
	}
	if least := s.guard.least.Load(); stat.Size < least {
		return s.abandonFile(fmt.Errorf("%w: its file was cut off at %d of %d bytes while campaignd ran; %s", ErrDamaged, stat.Size, least, damagedAdvice))
	}
	return nil
}

func (s *Store) abandonFile(why error) error {
	s.guard.once.Do(func() {
		s.guard.err = why
		close(s.guard.ended)
	})
	return s.guard.err
}

// checkPath checks that the store's path still names the open file: writes to another
// file would be lost with the process. s.mu is held.
func (s *Store) checkPath() error {
	var held, there syscall.Stat_t
	if err := syscall.Fstat(int(s.guard.file.Fd()), &held); err != nil {
		return fmt.Errorf("stat the store's file: %w", err)
	}
	err := syscall.Stat(s.path, &there)
	switch {
	case err == nil && held.Dev == there.Dev && held.Ino == there.Ino:
		return nil
	case err != nil && !errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("stat the store's file %q: %w", s.path, err)
	}
	return fmt.Errorf("%w: bring back the one that was at %q, or save what is still held with \"campaignd backup FILE\" and put that there before the next start",
		ErrMoved, s.path)
}

// catchFaults runs work on the memory map and turns a fault at a damaged or missing page
// into an error, so that the process survives. s.mu is held.
func (s *Store) catchFaults(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err = s.checkSize(); err != nil {
			return
		}
		err = fmt.Errorf("%w: %v", ErrDamaged, p)
		switch p.(type) {
		case interface{ Addr() uintptr }: // a fault: the mapped page isn't in the file, or can't be read
			err = s.abandonFile(fmt.Errorf("%w: a part of its file was cut off or can't be read any more; %s", ErrDamaged, damagedAdvice))
		case runtime.Error: // a page that misled this package, or a bug in it
			err = fmt.Errorf("%w\n%s", err, debug.Stack())
		}
	}()
	return work()
}
