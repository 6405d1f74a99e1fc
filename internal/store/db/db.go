package db

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/failpoint"
)

// Options configure Open. The zero value suits the daemon.
type Options struct {
	Timeout         time.Duration // how long to wait for another holder of the file; 0: 1s
	InitialMmapSize int           // address space mapped at once, about twice the expected file size; 0: 1 GiB
	NoSync          bool          // only for the power-cut test: commits don't reach the disk

	// Checked says that the log in NATS has nothing that a store of a cluster lacks. Such a store that
	// is opened without it is taken for a restored one: another hub may have gone on since.
	Checked bool
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.InitialMmapSize <= 0 {
		o.InitialMmapSize = 1 << 30
	}
	return o
}

// Schema says what a file holds besides the bucket Meta.
type Schema struct {
	// Migrations are the steps from version i to i+1, one transaction each.
	Migrations []func(*bbolt.Tx) error
	// Numbered is the bucket whose sequence numbers its entries. A number is never used again, even
	// in a restored file.
	Numbered []byte
}

// DB is an open file. Its methods are safe for concurrent use.
type DB struct {
	// CommitTx is (*bbolt.Tx).Commit; tests make it fail.
	CommitTx func(*bbolt.Tx) error
	// Reopened, if it isn't nil, is called when the file was opened again, before the next transaction.
	Reopened func()

	path   string
	opts   Options
	schema Schema

	tag        string
	pageSize   int // of the file
	restored   restored
	generation *os.File // nil: it couldn't be opened

	writer sync.Mutex // held by the only write transaction; guards the fields below
	broken bool       // a commit failed: reopen the file before the next write
	log    Log        // nil: the file isn't replicated

	wholeFile sync.RWMutex // read-locked while the whole file is read in one transaction, locked while it is replaced

	mu    sync.RWMutex // guards bolt and guard.file; write-locked only to replace them
	bolt  *bbolt.DB
	guard guard

	commits    atomic.Uint64
	writable   atomic.Pointer[error] // see Writable
	compacting atomic.Bool           // see Compacting
}

// ErrClosed is returned when the store is used after Close.
var ErrClosed = errors.New("the store is closed")

// Close waits for running transactions and releases the file.
func (d *DB) Close() error {
	d.writer.Lock()
	defer d.writer.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bolt == nil {
		return nil
	}
	err := d.closeFile()
	if d.generation != nil {
		_ = d.generation.Close() // it is never synced, so an error loses nothing
	}
	d.bolt, d.generation, d.broken = nil, nil, false
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Tag returns the store's random tag: 8 hex digits, part of every message key.
func (d *DB) Tag() string { return d.tag }

// Writable returns why the last write failed, nil if it succeeded: the disk is full or
// broken, or the file was moved. Only the next write updates it.
func (d *DB) Writable() error {
	if err := d.writable.Load(); err != nil {
		return *err
	}
	return nil
}

// Path returns the file's path.
func (d *DB) Path() string { return d.path }

// Commits returns the number of write transactions since Open.
func (d *DB) Commits() uint64 { return d.commits.Load() }

// View runs fn in a read transaction. fn must be short: a long one makes the file grow,
// because the pages it can see aren't reused meanwhile.
func (d *DB) View(fn func(*Tx) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.bolt == nil {
		return ErrClosed
	}
	if err := d.guard.checkSize(); err != nil {
		return err
	}
	return d.read(fn)
}

// Lookup is View for a read of a few pages that must take little time: it saves the look at
// the file's size, so that a truncated file is detected by the fault alone.
func (d *DB) Lookup(fn func(*Tx) error) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.bolt == nil {
		return ErrClosed
	}
	if err := d.Err(); err != nil {
		return err
	}
	return d.read(fn)
}

// read is (*bbolt.DB).View without its closures: this is called for every message.
func (d *DB) read(fn func(*Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer d.guard.caught(&err)
	t, err := d.bolt.Begin(false)
	if err != nil {
		return err
	}
	defer func() { _ = t.Rollback() }() // of a read transaction that was begun it never fails
	return fn(&Tx{Tx: t, db: d})
}

// Update runs fn once in the only write transaction and returns when it is durable, on the
// disk and in the log. An error of fn leaves everything unchanged.
func (d *DB) Update(fn func(*Tx) error) error {
	acknowledged, err := d.Commit(fn)
	if err != nil {
		return err
	}
	return d.Await(acknowledged)
}

// Await waits for the log's acknowledgement of a commit that is on the disk.
func (d *DB) Await(acknowledged func() error) error {
	if acknowledged == nil {
		return nil
	}
	if err := acknowledged(); err != nil {
		return d.guard.abandon(fmt.Errorf("replicate a commit: %w", err))
	}
	return nil
}

// Exclusively runs fn while no transaction writes.
func (d *DB) Exclusively(fn func()) {
	d.writer.Lock()
	defer d.writer.Unlock()
	fn()
}

// Commit is Update without the wait for the log, which Await does, so that the next commit may begin meanwhile.
func (d *DB) Commit(fn func(*Tx) error) (acknowledged func() error, err error) {
	d.writer.Lock()
	defer d.writer.Unlock()
	if d.broken {
		if err := d.reopen(); err != nil {
			return nil, err
		}
	}
	w := &Tx{db: d}
	begun, err := d.tryUpdate(w, fn)
	if err != nil {
		if begun {
			err = d.revert(err)
			d.writable.Store(&err)
		}
		return nil, err
	}
	d.commits.Add(1)
	d.writable.Store(nil)
	for _, do := range w.after {
		do()
	}
	return w.acknowledged, nil
}

// growth returns by how much a file of size bytes grows when it must. bbolt's own 16 MiB
// would make a small store twenty times as large as its content; much less would mean a
// sync for every few pages of a large one.
func growth(size int64) int { return int(min(max(size/8, 256<<10), 16<<20)) }

// tryUpdate runs the transaction of an update. With an error it reports whether the commit had begun.
func (d *DB) tryUpdate(w *Tx, fn func(*Tx) error) (begun bool, err error) {
	d.mu.RLock() // db is replaced only under writer, which is held
	defer d.mu.RUnlock()
	if d.bolt == nil {
		return false, ErrClosed
	}
	if err := cmp.Or(d.guard.checkSize(), d.guard.checkPath()); err != nil {
		d.writable.Store(&err)
		return false, err
	}
	var stand generation
	err = d.guard.catchFaults(func() (err error) {
		if w.Tx, err = d.bolt.Begin(true); err != nil {
			return fmt.Errorf("begin transaction: %w", err)
		}
		var before Position
		if d.log != nil {
			w.set, before = newWriteSet(), w.position()
		}
		if err := fn(w); err != nil {
			return err
		}
		if err := failpoint.Err(failpoint.StoreCommit); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		if stand, err = w.advance(); err != nil {
			return err
		}
		if d.log != nil {
			if err := w.appendSet(before); err != nil {
				return fmt.Errorf("commit: %w", err)
			}
		}
		size := w.Size()
		d.bolt.AllocSize = growth(size) // guarded by writer, like the commit that reads it
		begun = true
		if err := d.CommitTx(w.Tx); err != nil {
			switch {
			case syncFailed(err):
				return d.guard.abandon(fmt.Errorf("%w: %w", ErrUnsynced, err))
			case d.log != nil:
				return d.guard.abandon(fmt.Errorf("%w: %w", ErrUncertain, err))
			}
			return err
		}
		d.guard.least.Store(size)
		return nil
	})
	if err != nil && w.Tx != nil {
		d.abandon(w.Tx)
	}
	if err == nil {
		d.writeGeneration(stand)
	}
	return begun, err
}

// abandon rolls back a transaction whose fn failed, which bbolt gave up, or which panicked
// at a damaged page, perhaps during its commit. The rollback may panic again.
func (d *DB) abandon(t *bbolt.Tx) {
	defer func() {
		if recover() != nil {
			d.broken = true
		}
	}()
	_ = t.Rollback() // a finished one returns an error; the first error matters, not this one
}

// syncFailed reports whether bbolt's sync failed, and not a write: of all that a commit calls, only
// fdatasync returns a bare errno.
func syncFailed(err error) bool {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Op == "sync"
	}
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}

// revert forgets a transaction whose commit failed: the file is opened again, now or before the next
// transaction. Its meta page wasn't written, so the file holds what it held before.
func (d *DB) revert(cause error) error {
	d.broken = true
	if d.Err() != nil {
		return fmt.Errorf("commit: %w", cause)
	}
	if err := d.reopen(); err != nil {
		return fmt.Errorf("commit: %w; %w", cause, err)
	}
	return fmt.Errorf("commit: %w", cause)
}

// reopen reopens the file after a failed commit. The writer lock is held.
func (d *DB) reopen() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.Err(); err != nil {
		return err
	}
	if d.bolt != nil {
		_ = d.bolt.Close() // only opening it again matters
		d.bolt = nil
	}
	if err := d.openFile(); err != nil {
		return fmt.Errorf("open store again after a failed commit: %w", err)
	}
	d.broken = false
	d.reopened()
	return nil
}

func (d *DB) reopened() {
	if d.Reopened != nil {
		d.Reopened()
	}
}
