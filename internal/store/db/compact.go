package db

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
func (d *DB) Compact(ctx context.Context) (Compacted, error) {
	if !d.wholeFile.TryLock() {
		return Compacted{}, fmt.Errorf("compact store: %w", ErrBusy)
	}
	defer d.wholeFile.Unlock()
	d.writer.Lock()
	defer d.writer.Unlock()
	d.compacting.Store(true)
	defer d.compacting.Store(false)
	began, temp := time.Now(), compactName(d.path)
	done, err := d.compactTo(ctx, temp)
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
func (d *DB) Compacting() bool { return d.compacting.Load() }

// KeepFile makes compactions fail with ErrBusy until release is called: the whole file is being read.
func (d *DB) KeepFile() (release func()) {
	d.wholeFile.RLock()
	return d.wholeFile.RUnlock
}

// compactName names the new file until it is complete.
func compactName(path string) string { return path + ".compact" }

// compactTo copies the store to temp and replaces it by the copy. The writer lock is held.
func (d *DB) compactTo(ctx context.Context, temp string) (done Compacted, err error) {
	if d.broken {
		if err := d.reopen(); err != nil {
			return done, err
		}
	}
	if err := ctx.Err(); err != nil {
		return done, err
	}
	live := int64(0)
	if err := d.View(func(t *Tx) error {
		stats := t.DB().Stats()
		done.Before = t.Size()
		live = t.Size() - int64(stats.FreePageN+stats.PendingPageN)*int64(d.pageSize)
		return nil
	}); err != nil {
		return done, err
	}
	if free, err := safeio.FreeSpace(filepath.Dir(d.path)); err == nil && int64(free) < live+live/8+compactSpare {
		return done, fmt.Errorf("%d MiB are free beside the store, and its copy needs %d: make room", free>>20, (live+live/8+compactSpare)>>20)
	}
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return done, err
	}
	if done.After, err = d.copyTo(ctx, temp, live); err != nil {
		return done, err
	}
	failpoint.At(failpoint.CompactCopied)
	return done, d.replaceBy(temp)
}

// copyTo copies live bytes of data to a new, synced file and returns its size. The writer lock is held.
func (d *DB) copyTo(ctx context.Context, temp string, live int64) (size int64, err error) {
	var file *os.File
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{Timeout: d.opts.Timeout, FreelistType: bbolt.FreelistMapType,
		PageSize: d.pageSize, InitialMmapSize: int(live + live/8), NoSync: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode)
			file = f
			return f, err
		}})
	if err != nil {
		return 0, err
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // bbolt can't be canceled, but its next write fails
		_ = file.Close()
		close(closed)
	})
	err = d.guard.catchFaults(func() error { return bbolt.Compact(db, d.bolt, compactTx) })
	if !stop() {
		<-closed
		_ = db.Close() // its file is closed already
		return 0, ctx.Err()
	}
	if err == nil && !d.opts.NoSync {
		err = db.Sync()
	}
	if err == nil {
		err = db.View(func(t *bbolt.Tx) error { size = t.Size(); return nil })
	}
	return size, errors.Join(err, db.Close())
}

// replaceBy gives the file at temp, which holds the same data, the store's name and
// opens it. The writer lock is held.
func (d *DB) replaceBy(temp string) error {
	old, err := os.Open(d.path) // freeing gigabytes is delayed until others can continue
	if err != nil {
		return err
	}
	defer old.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bolt == nil {
		return ErrClosed
	}
	if err := cmp.Or(d.guard.checkSize(), d.guard.checkPath()); err != nil {
		return err // never replace a file that somebody else put there
	}
	_ = d.bolt.Close() // its error doesn't matter: one of the two must open
	d.bolt, d.broken = nil, true
	if err = os.Rename(temp, d.path); err == nil {
		failpoint.At(failpoint.CompactSwapped)
		if err = safeio.SyncDir(filepath.Dir(d.path)); err != nil { // nobody knows which of the two a power cut would leave
			return d.guard.abandon(fmt.Errorf("%w: %w", ErrUnsynced, err))
		}
	}
	openErr := d.openFile()
	switch {
	case openErr == nil:
		d.broken = false
		d.reopened()
	case d.log != nil: // a standby has its copy
		return d.guard.abandon(errors.Join(err, openErr))
	}
	return errors.Join(err, openErr)
}
