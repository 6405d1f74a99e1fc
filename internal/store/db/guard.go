package db

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
	path  string
	file  *os.File     // bbolt's own; replaced with DB.bolt, under DB.mu
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
func (d *DB) Ended() <-chan struct{} { return d.guard.ended }

// Err returns the ErrDamaged or ErrUnsynced for which the store was abandoned, or nil.
func (d *DB) Err() error { return d.guard.failure() }

func (g *guard) failure() error {
	select {
	case <-g.ended:
		return g.err
	default:
		return nil
	}
}

// checkSize checks that the file hasn't become shorter than the last commit needs. d.mu is held.
func (g *guard) checkSize() error {
	if err := g.failure(); err != nil {
		return err
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(g.file.Fd()), &stat); err != nil {
		return fmt.Errorf("stat the store's file: %w", err)
	}
	if least := g.least.Load(); stat.Size < least {
		return g.abandon(fmt.Errorf("%w: its file was cut off at %d of %d bytes while campaignd ran; %s", ErrDamaged, stat.Size, least, damagedAdvice))
	}
	return nil
}

// abandon ends the file for good and returns why: the first reason stays.
func (g *guard) abandon(why error) error {
	g.once.Do(func() {
		g.err = why
		close(g.ended)
	})
	return g.err
}

// checkPath checks that the store's path still names the open file: writes to another
// file would be lost with the process. d.mu is held.
func (g *guard) checkPath() error {
	var held, there syscall.Stat_t
	if err := syscall.Fstat(int(g.file.Fd()), &held); err != nil {
		return fmt.Errorf("stat the store's file: %w", err)
	}
	err := syscall.Stat(g.path, &there)
	switch {
	case err == nil && held.Dev == there.Dev && held.Ino == there.Ino:
		return nil
	case err != nil && !errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("stat the store's file %q: %w", g.path, err)
	}
	return fmt.Errorf("%w: bring back the one that was at %q, or save what is still held with \"campaignd backup FILE\" and put that there before the next start",
		ErrMoved, g.path)
}

// catchFaults runs work on the memory map and turns a fault at a damaged or missing page
// into an error, so that the process survives. DB.mu is held.
func (g *guard) catchFaults(work func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer g.caught(&err)
	return work()
}

// caught is deferred around work on the memory map. It must be called by defer itself: it recovers.
func (g *guard) caught(err *error) {
	p := recover()
	if p == nil {
		return
	}
	if *err = g.checkSize(); *err != nil {
		return
	}
	*err = fmt.Errorf("%w: %v", ErrDamaged, p)
	switch p.(type) {
	case interface{ Addr() uintptr }: // a fault: the mapped page isn't in the file, or can't be read
		*err = g.abandon(fmt.Errorf("%w: a part of its file was cut off or can't be read any more; %s", ErrDamaged, damagedAdvice))
	case runtime.Error: // a page that misled us, or a bug
		*err = fmt.Errorf("%w\n%s", *err, debug.Stack())
	}
}
