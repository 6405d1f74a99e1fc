package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
)

const (
	compactTx    = 8 << 20  // bytes written in one transaction, which bbolt keeps in memory
	compactSpare = 64 << 20 // bytes that must stay free on the disk
)

// Compacted describes a finished compaction.
type Compacted struct {
	Before, After int64         // bytes of the file
	Took          time.Duration // nothing could be written in this time
}

// Compact returns the store's free space to the disk: it copies all data into a new file,
// which then replaces the old one. Reading goes on. Writes wait, about a second per 100 MB
// of data, so call it when nothing is due. The copy needs room next to the store. ErrBusy
// is returned while a backup, a deep check or another compaction runs. An error or a crash
// leaves the store as it was.
func (s *Store) Compact(ctx context.Context) (Compacted, error) {
	if !s.wholeFile.TryLock() {
		return Compacted{}, fmt.Errorf("compact store: %w", ErrBusy)
	}
	defer s.wholeFile.Unlock()
	s.writer.Lock()
	defer s.writer.Unlock()
	s.compacting.Store(true)
	defer s.compacting.Store(false)
	began, temp := time.Now(), compactName(s.path)
	done, err := s.compactTo(ctx, temp)
	if err != nil {
		if gone := os.Remove(temp); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return Compacted{}, fmt.Errorf("compact store: %w", err)
	}
	done.Took = time.Since(began)
	return done, nil
}

// Compacting reports whether a compaction makes every write wait.
func (s *Store) Compacting() bool { return s.compacting.Load() }

// compactName names the new file until it is complete.
func compactName(path string) string { return path + ".compact" }

// compactTo copies the store to temp and replaces it by the copy. The writer lock is held.
func (s *Store) compactTo(ctx context.Context, temp string) (done Compacted, err error) {
	if s.broken {
		if err := s.reopen(); err != nil {
			return done, err
		}
	}
	if err := ctx.Err(); err != nil {
		return done, err
	}
	live := int64(0)
	if err := s.view(func(t *tx) error {
		stats := t.DB().Stats()
		done.Before = t.Size()
		live = t.Size() - int64(stats.FreePageN+stats.PendingPageN)*int64(s.pageSize)
		return nil
	}); err != nil {
		return done, err
	}
	if free, err := safeio.FreeSpace(filepath.Dir(s.path)); err == nil && int64(free) < live+live/8+compactSpare {
		return done, fmt.Errorf("%d MiB are free beside the store, and its copy needs %d: make room", free>>20, (live+live/8+compactSpare)>>20)
	}
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	if done.After, err = s.copyTo(ctx, temp, live); err != nil {
		return done, err
	}
	failpoint.At(failpoint.CompactCopied)
	return done, s.replaceBy(temp)
}

// copyTo copies live bytes of data to a new, synced file and returns its size. The writer lock is held.
func (s *Store) copyTo(ctx context.Context, temp string, live int64) (size int64, err error) {
	var file *os.File
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{Timeout: s.opts.Timeout, FreelistType: bbolt.FreelistMapType,
		PageSize: s.pageSize, InitialMmapSize: int(live + live/8), NoSync: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			file = f
			return f, err
		}})
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = file.Close() }) // bbolt can't be canceled, but its next write fails
	err = s.catchFaults(func() error { return bbolt.Compact(db, s.db, compactTx) })
	if !stop() {
		_ = db.Close() // its file is closed already
		return 0, ctx.Err()
	}
	if err == nil && !s.opts.NoSync {
		err = db.Sync()
	}
	if err == nil {
		err = db.View(func(t *bbolt.Tx) error { size = t.Size(); return nil })
	}
	return size, errors.Join(err, db.Close())
}

// replaceBy gives the file at temp, which holds the same data, the store's name and
// opens it. The writer lock is held.
func (s *Store) replaceBy(temp string) error {
	old, err := os.Open(s.path) // freeing gigabytes is delayed until others can continue
	if err != nil {
		return err
	}
	defer old.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return errClosed
	}
	if err := cmp.Or(s.checkSize(), s.checkPath()); err != nil {
		return err // never replace a file that somebody else put there
	}
	_ = s.db.Close() // its error doesn't matter: one of the two must open
	s.db, s.broken = nil, true
	if err = os.Rename(temp, s.path); err == nil {
		failpoint.At(failpoint.CompactSwapped)
		err = safeio.SyncDir(filepath.Dir(s.path))
		s.moved = err != nil // nothing is written until the folder is synced: see reopen
	}
	openErr := s.openFile()
	if openErr == nil {
		s.broken = s.moved
		s.scans.forgetAll()
	}
	return errors.Join(err, openErr)
}
