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

// guard watches over the file under an open store. bbolt reads it through a map.
// Where the file was cut off behind the map's back the kernel ends the whole process at
// the first page that isn't there, with a page of registers for an explanation. So its size
// is looked at before every transaction, and whatever slips through makes a panic that is caught.
// Such a store is given up for good: what would be written to it makes the damage worse.
type guard struct {
	file  *os.File     // bbolt's own; replaced with db, under the store's mu
	least atomic.Int64 // bytes that the last commit needs

	once  sync.Once
	ended chan struct{} // closed once err is set
	err   error
}

// ErrMoved is returned by what writes while the store's file isn't where it was
// opened: it was removed, renamed, or another file was put in its place.
var ErrMoved = errors.New("the store's file was moved away or replaced while campaignd runs")

// Ended is closed when the store is given up because its file was cut off while it
// was open. Every method returns Err from then on; whoever works with it should end.
func (s *Store) Ended() <-chan struct{} { return s.guard.ended }

// Err is why the store was given up, an ErrDamaged; nil while it wasn't.
func (s *Store) Err() error {
	select {
	case <-s.guard.ended:
		return s.guard.err
	default:
		return nil
	}
}

// uncut finds out whether the file is still as long as it must be. s.mu is held.
func (s *Store) checkSize() error {
	if err := s.Err(); err != nil {
		return err
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(s.guard.file.Fd()), &stat); err != nil {
		return fmt.Errorf("look at the store's file: %w", err)
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

// inPlace finds out whether the store's path still names the file that is open: what is
// written to another would be lost with the process. s.mu is held.
func (s *Store) checkPath() error {
	var held, there syscall.Stat_t
	if err := syscall.Fstat(int(s.guard.file.Fd()), &held); err != nil {
		return fmt.Errorf("look at the store's file: %w", err)
	}
	err := syscall.Stat(s.path, &there)
	switch {
	case err == nil && held.Dev == there.Dev && held.Ino == there.Ino:
		return nil
	case err != nil && !errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("look at the store's file %q: %w", s.path, err)
	}
	return fmt.Errorf("%w: bring back the one that was at %q, or save what is still held with \"campaignd backup FILE\" and put that there before the next start",
		ErrMoved, s.path)
}

// guarded runs work on the map so that a page that is damaged, or gone, makes an
// error of it and not the end of the process. s.mu is held.
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
		case interface{ Addr() uintptr }: // a fault: the page that the map shows isn't in the file, or can't be read
			err = s.abandonFile(fmt.Errorf("%w: a part of its file was cut off or can't be read any more; %s", ErrDamaged, damagedAdvice))
		case runtime.Error: // a page that misled this package, or a mistake of its own
			err = fmt.Errorf("%w\n%s", err, debug.Stack())
		}
	}()
	return work()
}
