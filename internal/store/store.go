package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
)

// Options configure Open. The zero value suits the daemon.
type Options struct {
	Timeout         time.Duration // how long to wait for another holder of the file; 0: 1s
	InitialMmapSize int           // address space mapped at once, about twice the expected file size; 0: 1 GiB
	Gather          time.Duration // how long a commit may wait for others to join, if others did the last time; 0: 500us
	NoSync          bool          // only for the power-cut test: commits don't reach the disk

	// Checked says that the log in NATS has nothing that a store of a cluster lacks. Such a store that
	// is opened without it is taken for a restored one: another hub may have gone on since.
	Checked bool
}

// Store is an open store. Its methods are safe for concurrent use.
type Store struct {
	path string
	opts Options
	tag  string

	pageSize int // of the file

	restored   string   // see Restored; set by Open, or by Hold before anything is sent
	generation *os.File // nil: it couldn't be opened

	writer sync.Mutex // held by the only write transaction; guards the fields below
	broken bool       // a commit failed: reopen the file before the next write
	moved  bool       // a compacted file has the name, and its folder isn't synced yet
	log    Log        // nil: the store isn't replicated

	wholeFile sync.RWMutex // read-locked while the whole file is read in one transaction, locked while it is replaced

	mu    sync.RWMutex // guards db and guard.file; write-locked only to replace them
	db    *bbolt.DB
	guard guard

	group         committer
	scans         scans
	optOuts       atomic.Pointer[optOutRules]
	optOutGroups  atomic.Pointer[map[optOutGroup]bool] // that may have opt-outs; replaced under writer, never changed
	optOutFilter  atomic.Pointer[optOutFilter]         // replaced under writer
	forgetSecret  atomic.Pointer[[]byte]               // the key of forgotten contacts' hashes; nil: nobody was forgotten
	optOutVersion atomic.Uint64                        // grows with every opt-out added
	commits       atomic.Uint64
	writable      atomic.Pointer[error] // see Writable
	entries       atomic.Uint64
	compacting    atomic.Bool // see Compacting

	receipts sharedWrite[*receiptBatch] // waiting calls of RecordReceipts
	commitTx func(*bbolt.Tx) error      // (*bbolt.Tx).Commit; tests make it fail
}

// errClosed is returned when the store is used after Close.
var errClosed = errors.New("the store is closed")

// Close waits for running transactions and releases the file.
func (s *Store) Close() error {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.closeFile()
	if s.generation != nil {
		_ = s.generation.Close() // it is never synced, so an error loses nothing
	}
	s.db, s.generation, s.broken = nil, nil, false
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Tag returns the store's random tag: 8 hex digits, part of every message key.
func (s *Store) Tag() string { return s.tag }

// Writable returns why the last write failed, nil if it succeeded: the disk is full or
// broken, or the file was moved. Only the next write updates it.
func (s *Store) Writable() error {
	if err := s.writable.Load(); err != nil {
		return *err
	}
	return nil
}

// view runs fn in a read transaction. fn must be short: a long one makes the file grow,
// because the pages it can see aren't reused meanwhile.
func (s *Store) view(fn func(*tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errClosed
	}
	if err := s.checkSize(); err != nil {
		return err
	}
	return s.viewUnchecked(fn)
}

// lookup is view for a read of a few pages that must take little time: it saves the look at
// the file's size, so that a truncated file is detected by the fault alone.
func (s *Store) lookup(fn func(*tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errClosed
	}
	if err := s.Err(); err != nil {
		return err
	}
	return s.viewUnchecked(fn)
}

func (s *Store) viewUnchecked(fn func(*tx) error) error {
	return s.catchFaults(func() error {
		return s.db.View(func(t *bbolt.Tx) error { return fn(&tx{Tx: t, s: s}) })
	})
}

// update runs fn once in the only write transaction and returns when it is durable, on the
// disk and in the log. An error of fn leaves everything unchanged.
func (s *Store) update(fn func(*tx) error) error {
	acknowledged, err := s.commit(fn)
	if err != nil {
		return err
	}
	return s.await(acknowledged)
}

// await waits for the log's acknowledgement of a commit that is on the disk.
func (s *Store) await(acknowledged func() error) error {
	if acknowledged == nil {
		return nil
	}
	if err := acknowledged(); err != nil {
		return s.abandonFile(fmt.Errorf("replicate a commit: %w", err))
	}
	return nil
}

// commit is update without the wait for the log, so that the next commit may begin meanwhile.
func (s *Store) commit(fn func(*tx) error) (acknowledged func() error, err error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.broken {
		if err := s.reopen(); err != nil {
			return nil, err
		}
	}
	w := &tx{s: s}
	begun, err := s.tryUpdate(w, fn)
	if err != nil {
		if begun {
			err = s.revert(err)
			s.writable.Store(&err)
		}
		return nil, err
	}
	s.commits.Add(1)
	s.writable.Store(nil)
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
func (s *Store) tryUpdate(w *tx, fn func(*tx) error) (begun bool, err error) {
	s.mu.RLock() // db is replaced only under writer, which is held
	defer s.mu.RUnlock()
	if s.db == nil {
		return false, errClosed
	}
	if err := cmp.Or(s.checkSize(), s.checkPath()); err != nil {
		s.writable.Store(&err)
		return false, err
	}
	var stand generation
	err = s.catchFaults(func() (err error) {
		if w.Tx, err = s.db.Begin(true); err != nil {
			return fmt.Errorf("begin transaction: %w", err)
		}
		var before Position
		if s.log != nil {
			w.set, before = newWriteSet(), w.position()
		}
		if err := fn(w); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
		if err := failpoint.Err(failpoint.StoreCommit); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		if stand, err = w.advance(); err != nil {
			return err
		}
		if s.log != nil {
			if err := w.appendSet(before); err != nil {
				return fmt.Errorf("commit: %w", err)
			}
		}
		size := w.Size()
		s.db.AllocSize = growth(size) // guarded by writer, like the commit that reads it
		begun = true
		if err := s.commitTx(w.Tx); err != nil {
			switch {
			case syncFailed(err):
				return s.abandonFile(fmt.Errorf("%w: %w", ErrUnsynced, err))
			case s.log != nil:
				return s.abandonFile(fmt.Errorf("%w: %w", ErrUncertain, err))
			}
			return err
		}
		s.guard.least.Store(size)
		return nil
	})
	if err != nil && w.Tx != nil {
		s.abandon(w.Tx)
	}
	if err == nil {
		s.writeGeneration(stand)
	}
	return begun, err
}

// abandon rolls back a transaction whose fn failed, which bbolt gave up, or which panicked
// at a damaged page, perhaps during its commit. The rollback may panic again.
func (s *Store) abandon(t *bbolt.Tx) {
	defer func() {
		if recover() != nil {
			s.broken = true
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
func (s *Store) revert(cause error) error {
	s.broken = true
	if s.Err() != nil {
		return fmt.Errorf("commit: %w", cause)
	}
	if err := s.reopen(); err != nil {
		return fmt.Errorf("commit: %w; %w", cause, err)
	}
	return fmt.Errorf("commit: %w", cause)
}

// reopen reopens the file after a failed commit. The writer lock is held.
func (s *Store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Err(); err != nil {
		return err
	}
	if s.moved {
		if err := safeio.SyncDir(filepath.Dir(s.path)); err != nil {
			return fmt.Errorf("open store again after it was compacted: %w", err)
		}
		s.moved = false
	}
	if s.db != nil {
		_ = s.db.Close() // only opening it again matters
		s.db = nil
	}
	if err := s.openFile(); err != nil {
		return fmt.Errorf("open store again after a failed commit: %w", err)
	}
	s.broken = false
	s.scans.forgetAll()
	return nil
}

// tx is a bbolt transaction with this package's additions.
type tx struct {
	*bbolt.Tx
	s     *Store
	pages map[string]*slotPage // slot counts changed in this transaction
	after []func()             // called once it is on the disk

	set          *writeSet    // nil: the store isn't replicated
	acknowledged func() error // see Log.Append
}

func (t *tx) bucket(name []byte) bucket {
	b := t.Bucket(name)
	if b == nil {
		panic(fmt.Sprintf("bucket %s is missing", name))
	}
	return bucket{b, t, name}
}

// ascending returns a bucket whose keys come in order, so that its pages may be filled.
func (t *tx) ascending(name []byte) bucket {
	b := t.bucket(name)
	b.FillPercent = dense
	return b
}

// number returns the sequence part of id.
func number(id campaign.ID) (uint64, error) {
	n := id.Number()
	if n == 0 {
		return 0, fmt.Errorf("sending %q: %w", id, ErrNotFound)
	}
	return n, nil
}

func now() time.Time { return time.Now().UTC() }
