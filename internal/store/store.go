package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
)

// Options are how a store is opened. The zero value is right for the daemon.
type Options struct {
	Timeout         time.Duration // how long to wait for another holder of the file; 0: 1s
	InitialMmapSize int           // address space mapped at once, about twice what is expected; 0: 1 GiB
	Gather          time.Duration // how long a commit may wait for others to join, when others did the last time; 0: 500us
	NoSync          bool          // for the power-cut test alone: commits don't reach the disk
}

// Store is an open store. All its methods are safe for concurrent use.
type Store struct {
	path string
	opts Options
	tag  string

	pageSize int // of the file

	restored   string   // see Restored; set by Open, or by Hold before anything is sent
	generation *os.File // nil: none could be made

	writer  sync.Mutex // held by the one write transaction there may be; guards what follows
	broken  bool       // a commit failed: the file must be opened anew before it is written again
	failed  uint64     // its transaction, while that may still stand in the file; 0: none
	moved   bool       // a compacted file took the name, and its folder isn't synced yet
	changes *changes   // keys written since a compaction began; nil: there is none

	wholeFile sync.RWMutex // read-locked by what reads all of the file in one transaction, locked by what replaces it

	mu    sync.RWMutex // guards db and guard.file; write-locked only to replace them
	db    *bbolt.DB
	guard guard

	group     committer
	scans     scans
	anyOptOut atomic.Bool // false: there is no suppression at all
	commits   atomic.Uint64
	writable  atomic.Pointer[error] // see Writable
	entries   atomic.Uint64

	receipts     receiptQueue          // of Tell
	commitTx     func(*bbolt.Tx) error // (*bbolt.Tx).Commit; tests let it fail
	betweenSteps func()                // called between the steps of a compaction; tests write then
}

// errClosed is returned when the store is used after Close.
var errClosed = errors.New("the store is closed")

// Close waits for transactions under way and gives the file free.
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
		_ = s.generation.Close() // written without a sync: nothing is lost with it
	}
	s.db, s.generation, s.broken = nil, nil, false
	if err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Tag is the store's own random mark: 8 hex digits, part of every message key.
func (s *Store) Tag() string { return s.tag }

// Writable is why the last write could not be made, nil if it could: the disk is full or
// broken, or the file isn't where it was. It is known again only with the next write.
func (s *Store) Writable() error {
	if err := s.writable.Load(); err != nil {
		return *err
	}
	return nil
}

// view runs fn in a read transaction. It must be short (PITFALLS 29): while it
// lasts no page that it can see is used again.
func (s *Store) view(fn func(*tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errClosed
	}
	if err := s.checkSize(); err != nil {
		return err
	}
	return s.catchFaults(func() error {
		return s.db.View(func(t *bbolt.Tx) error { return fn(&tx{Tx: t, s: s}) })
	})
}

// update runs fn in the one write transaction there may be, and returns when it
// is durable. fn runs once. An error of fn leaves everything as it was.
func (s *Store) update(fn func(*tx) error) error {
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.broken {
		if err := s.reopen(); err != nil {
			return err
		}
	}
	w := &tx{s: s}
	id, err := s.tryUpdate(w, fn)
	if err != nil {
		if id != 0 {
			err = s.revert(id, err)
			s.writable.Store(&err)
		}
		return err
	}
	s.commits.Add(1)
	s.writable.Store(nil)
	for _, do := range w.after {
		do()
	}
	return nil
}

// growth is by how much a file of size bytes grows at once, when it must: bbolt's own
// 16 MiB would make a small store twenty times as large as what is in it, and much less
// would mean a sync for every few pages of a large one.
func growth(size int64) int { return int(min(max(size/8, 256<<10), 16<<20)) }

// attempt is the transaction of an update. If its commit was begun and failed, the
// number of the transaction comes with the error.
func (s *Store) tryUpdate(w *tx, fn func(*tx) error) (failed int, err error) {
	s.mu.RLock() // replaced under writer alone, which is held
	defer s.mu.RUnlock()
	if s.db == nil {
		return 0, errClosed
	}
	if err := cmp.Or(s.checkSize(), s.checkPath()); err != nil {
		s.writable.Store(&err)
		return 0, err
	}
	var stand generation
	err = s.catchFaults(func() (err error) {
		if w.Tx, err = s.db.Begin(true); err != nil {
			return fmt.Errorf("begin transaction: %w", err)
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
		size := w.Size()
		s.db.AllocSize = growth(size) // guarded by writer, as the commit that reads it
		failed = w.ID()
		if err := s.commitTx(w.Tx); err != nil {
			return err
		}
		failed = 0
		s.guard.least.Store(size)
		return nil
	})
	if err != nil && w.Tx != nil {
		s.abandon(w.Tx)
	}
	if err == nil {
		s.writeGeneration(stand)
	}
	return failed, err
}

// abandon ends a transaction that came to nothing: fn failed, bbolt itself gave it up, or a damaged
// page made it panic, perhaps in the middle of its commit. Then it may do so again.
func (s *Store) abandon(t *bbolt.Tx) {
	defer func() {
		if recover() != nil {
			s.broken = true
		}
	}()
	_ = t.Rollback() // a finished one says so; no error of it would matter beside the first
}

// settle ends a transaction whose commit failed. Its meta page may have been
// written and only the sync have failed: then the change would be seen from now on, though
// its caller was told otherwise (an attempt seen so would wait for ever). So it is
// taken back, and the file opened anew. Where the disk doesn't allow that now, it is done before the
// next transaction.
func (s *Store) revert(id int, cause error) error {
	s.broken, s.failed = true, uint64(id)
	if err := s.reopen(); err != nil {
		return fmt.Errorf("commit: %w; %w", cause, err)
	}
	return fmt.Errorf("commit: %w", cause)
}

// reopen opens the file anew after a failed commit. The writer's lock is held.
func (s *Store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Err(); err != nil {
		return err
	}
	if s.failed != 0 {
		if err := undo(s.path, s.failed, s.pageSize); err != nil {
			return err // what can be read is read meanwhile
		}
		s.failed = 0
	}
	if s.moved {
		if err := safeio.SyncDir(filepath.Dir(s.path)); err != nil {
			return fmt.Errorf("open store again after it was compacted: %w", err)
		}
		s.moved = false
	}
	if s.db != nil {
		_ = s.db.Close() // what matters is whether it opens
		s.db = nil
	}
	if err := s.openFile(); err != nil {
		return fmt.Errorf("open store again after a failed commit: %w", err)
	}
	s.broken = false
	s.scans.forgetAll()
	return nil
}

// tx is a transaction, with what this package adds to bbolt's.
type tx struct {
	*bbolt.Tx
	s     *Store
	pages map[string]*slotPage // slot counts changed in this transaction
	after []func()             // to do once it is durable
}

func (t *tx) bucket(name []byte) bucket {
	b := t.Bucket(name)
	if b == nil {
		panic(fmt.Sprintf("bucket %s is missing", name))
	}
	return bucket{b, t, name}
}

// ascending is a bucket whose keys come in order, so that its pages may be full.
func (t *tx) ascending(name []byte) bucket {
	b := t.bucket(name)
	b.FillPercent = dense
	return b
}

// number is the sequence part of id.
func number(id campaign.ID) (uint64, error) {
	n := id.Number()
	if n == 0 {
		return 0, fmt.Errorf("sending %q: %w", id, ErrNotFound)
	}
	return n, nil
}

func now() time.Time { return time.Now().UTC() }
