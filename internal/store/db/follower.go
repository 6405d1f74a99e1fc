package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/s2"
	"go.etcd.io/bbolt"

	"campaignd/internal/safeio"
)

// Follower is a copy of a store that is kept up to date with write sets. After Close its file is
// an ordinary store for Open. It isn't safe for concurrent use.
type Follower struct {
	// MaxFree is how many bytes may be free in the file before Compact compacts it: 64 MiB unless it is set.
	MaxFree int64

	d  *DB // its file only; nil: there is no copy yet
	at Position

	path   string
	opts   Options
	schema Schema
}

// ErrGap is returned for a write set that doesn't continue the copy: some are missing, or the copy
// holds commits of a hub that was deposed. A base is needed.
var ErrGap = errors.New("the copy of the store can't be continued")

// OpenFollower opens the file at path as a copy. Without a file, and for a restored backup, its
// position is zero, and a base is needed. It returns ErrLocked, ErrNewer or ErrDamaged as Open does.
func OpenFollower(path string, opts Options, schema Schema) (*Follower, error) {
	f := &Follower{path: path, opts: opts.withDefaults(), schema: schema, MaxFree: wasteBytes}
	if err := os.Remove(baseName(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open copy of the store: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	restored, err := readTrailer(path)
	if err != nil {
		return nil, fmt.Errorf("open copy of the store: %w", err)
	}
	if restored != nil {
		return f, nil
	}
	return f, f.open()
}

// baseName names a base until it is complete.
func baseName(path string) string { return path + ".base" }

// open opens the file and its generation file.
func (f *Follower) open() error {
	past, err := readGeneration(f.path)
	if err != nil {
		return err
	}
	if f.d, f.at, err = openCopy(f.path, f.opts, f.schema); err != nil {
		return err
	}
	f.d.openGeneration(past)
	return nil
}

// openCopy opens a store's file as it is, without migrating it.
func openCopy(path string, opts Options, schema Schema) (*DB, Position, error) {
	d := newDB(path, opts, schema)
	if err := d.openFile(); err != nil {
		return nil, Position{}, err
	}
	d.pageSize = d.bolt.Info().PageSize
	var at Position
	version, err := d.version()
	if err == nil && int(version) > len(schema.Migrations) {
		err = fmt.Errorf("%w: its version is %d, this campaignd knows up to %d; install that version here, too", ErrNewer, version, len(schema.Migrations))
	}
	if err == nil {
		err = d.View(func(t *Tx) error { at = t.position(); return nil })
	}
	if err != nil {
		return nil, Position{}, errors.Join(fmt.Errorf("open copy of the store %q: %w", path, err), d.Close())
	}
	return d, at, nil
}

// Position returns the position of the copy; zero if there is none.
func (f *Follower) Position() Position { return f.at }

// Size returns the length of the file in bytes.
func (f *Follower) Size() int64 {
	if f.d == nil {
		return 0
	}
	return f.d.guard.least.Load()
}

// Apply applies write sets, in the order of the log, in one transaction, and returns when it is
// durable. Sets that the copy holds already are skipped. After ErrGap the copy is unchanged.
func (f *Follower) Apply(sets ...[]byte) error {
	if f.d == nil {
		return fmt.Errorf("apply write sets: %w: there is none", ErrGap)
	}
	at := f.at
	var rest [][]byte
	for _, set := range sets {
		before, after, packed, err := setHead(set)
		if err != nil {
			return fmt.Errorf("apply write set: %w", err)
		}
		switch {
		case before == at:
			at, rest = after, append(rest, packed)
		case after.Commit > at.Commit:
			return fmt.Errorf("apply write set: %w: it is at %s, the set follows %s", ErrGap, at, before)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	var stand generation
	var size int64
	err := f.d.guard.catchFaults(func() error {
		return f.d.bolt.Update(func(t *bbolt.Tx) error {
			f.d.bolt.AllocSize = growth(t.Size())
			for _, set := range rest {
				if err := applySet(t, set); err != nil {
					return err
				}
			}
			w := &Tx{Tx: t, db: f.d}
			if got := w.position(); got != at {
				return fmt.Errorf("%w: it leads to %s, not to %s", errSet, got, at)
			}
			stand, size = w.generation(), t.Size()
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("apply write sets: %w", err)
	}
	f.at = at
	f.d.guard.least.Store(size)
	f.d.writeGeneration(stand)
	return nil
}

// wasteBytes is how much of a copy may be free.
const wasteBytes = 64 << 20

// Compact returns the copy's free space to the disk if it is more than half of the file and more
// than MaxFree: the log has no compactions. The error is ctx's when it ends; the copy is unchanged then.
func (f *Follower) Compact(ctx context.Context) error {
	if f.d == nil {
		return nil
	}
	stats := f.d.bolt.Stats()
	free := int64(stats.FreePageN+stats.PendingPageN) * int64(f.d.pageSize)
	if free <= max(f.MaxFree, f.Size()/2) {
		return nil
	}
	_, err := f.d.Compact(ctx)
	return err
}

// Close closes the file.
func (f *Follower) Close() error {
	if f.d == nil {
		return nil
	}
	return f.d.Close()
}

// Base is a copy of a store being received.
type Base struct {
	f     *Follower
	file  *os.File
	size  int64
	plain []byte // buffer
}

// NewBase begins to receive a base. The copy of before stays until Install.
func (f *Follower) NewBase() (*Base, error) {
	file, err := os.OpenFile(baseName(f.path), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make base: %w", err)
	}
	return &Base{f: f, file: file}, nil
}

// Add appends a chunk of a Snapshot.
func (b *Base) Add(packed []byte) error {
	size, err := s2.DecodedLen(packed)
	if err != nil || size > snapshotChunk {
		return fmt.Errorf("receive base: %w: a chunk is malformed", ErrDamaged)
	}
	if b.plain, err = s2.Decode(b.plain[:cap(b.plain)], packed); err != nil {
		return fmt.Errorf("receive base: %w: a chunk is malformed", ErrDamaged)
	}
	if _, err := b.file.Write(b.plain); err != nil {
		return fmt.Errorf("receive base: %w", err)
	}
	b.size += int64(size)
	return nil
}

// Size returns how many bytes of the file were added.
func (b *Base) Size() int64 { return b.size }

// Discard removes an incomplete base.
func (b *Base) Discard() error {
	_ = b.file.Close() // its content doesn't matter
	if err := os.Remove(baseName(b.f.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("discard base: %w", err)
	}
	return nil
}

// Install replaces the follower's file by the base if it is complete: its length and position are
// those that the hub announced. A crash leaves one or the other.
func (b *Base) Install(at Position, size int64) error {
	f := b.f
	if b.size != size {
		return errors.Join(fmt.Errorf("install base: %w: it has %d of %d bytes", ErrDamaged, b.size, size), b.Discard())
	}
	if err := errors.Join(b.file.Sync(), b.file.Close()); err != nil {
		return fmt.Errorf("install base: %w", err)
	}
	d, found, err := openCopy(baseName(f.path), f.opts, f.schema)
	if err != nil {
		return errors.Join(err, os.Remove(baseName(f.path)))
	}
	err = d.Close()
	if found != at {
		err = errors.Join(fmt.Errorf("%w: it is at %s, not at %s", ErrDamaged, found, at), err)
	}
	if err == nil {
		err = f.replace()
	}
	if err != nil {
		return fmt.Errorf("install base: %w", err)
	}
	return nil
}

// replace gives the base the name of the copy and opens it.
func (f *Follower) replace() error {
	err := f.Close()
	f.d, f.at = nil, Position{}
	for _, name := range []string{generationName(f.path), restoredMark(f.path)} { // they describe the file that was here
		if gone := os.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(baseName(f.path), f.path); err != nil {
		return err
	}
	if err := safeio.SyncDir(filepath.Dir(f.path)); err != nil {
		return err
	}
	return f.open()
}
