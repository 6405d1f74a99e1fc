package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
)

// Limits of a compaction. Each bounds how long somebody else waits.
const (
	compactPage  = 1 << 20  // bytes read in one transaction
	compactSync  = 8 << 20  // bytes written between two syncs: a sync of gigabytes would delay commits
	compactLast  = 256      // keys left for the last step, which blocks the writer; doubled each round
	compactSpare = 64 << 20 // bytes that must stay free on the disk
)

// Compacted describes a finished compaction.
type Compacted struct {
	Before, After int64         // bytes of the file
	Took          time.Duration // from begin to end
	Paused        time.Duration // part of Took during which nothing could be written
}

// Compact returns the store's free space to the disk. It copies all data into a new file
// in small steps, while others read and write; then it copies, round by round, what they
// have written meanwhile. The last round is short and blocks the writer; the new file then
// replaces the old one. The copy needs room next to the store. ErrBusy is returned while a
// backup, a deep check or another compaction runs. An error or a crash leaves the store
// as it was.
func (s *Store) Compact(ctx context.Context) (Compacted, error) {
	if !s.wholeFile.TryLock() {
		return Compacted{}, fmt.Errorf("compact store: %w", ErrBusy)
	}
	defer s.wholeFile.Unlock()
	c := &compaction{s: s, temp: compactName(s.path), began: time.Now()}
	err := c.run(ctx)
	if err != nil {
		return Compacted{}, errors.Join(fmt.Errorf("compact store: %w", err), c.abort())
	}
	c.done.Took = time.Since(c.began)
	return c.done, nil
}

// compactName names the new file until it is complete.
func compactName(path string) string { return path + ".compact" }

// compaction is one run of Compact.
type compaction struct {
	s     *Store
	temp  string
	db    *bbolt.DB // the new file
	began time.Time
	bytes int // written since the last sync
	done  Compacted
}

func (c *compaction) run(ctx context.Context) error {
	if err := c.open(); err != nil {
		return err
	}
	c.s.writer.Lock()
	c.s.changes = newChanges() // record every key written from here on
	c.s.writer.Unlock()
	paths, err := c.paths()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := c.copyBucket(ctx, path); err != nil {
			return err
		}
	}
	for most := compactLast; ; most *= 2 {
		c.pause()
		changed, last, err := c.endRound(most)
		if err != nil || last {
			return err
		}
		if err := c.apply(ctx, changed); err != nil {
			return err
		}
	}
}

// open creates the new file, if the disk has room for it.
func (c *compaction) open() error {
	live := int64(0)
	if err := c.s.view(func(t *tx) error {
		stats := t.DB().Stats()
		c.done.Before = t.Size()
		live = t.Size() - int64(stats.FreePageN+stats.PendingPageN)*int64(t.DB().Info().PageSize)
		return nil
	}); err != nil {
		return err
	}
	if free, err := safeio.FreeSpace(filepath.Dir(c.s.path)); err == nil && int64(free) < live+live/8+compactSpare {
		return fmt.Errorf("%d MiB are free beside the store, and its copy needs %d: make room", free>>20, (live+live/8+compactSpare)>>20)
	}
	if err := os.Remove(c.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var err error
	c.db, err = bbolt.Open(c.temp, 0o600, &bbolt.Options{Timeout: c.s.opts.Timeout, FreelistType: bbolt.FreelistMapType,
		PageSize: c.s.pageSize, InitialMmapSize: int(live + live/8), NoSync: true})
	return err
}

// paths lists the existing buckets, outer ones first.
func (c *compaction) paths() (paths []string, err error) {
	err = c.s.view(func(t *tx) error {
		var walk func(path []byte, b *bbolt.Bucket) error
		walk = func(path []byte, b *bbolt.Bucket) error {
			paths = append(paths, string(path))
			return b.ForEachBucket(func(name []byte) error { return walk(pathOf(path, name), b.Bucket(name)) })
		}
		return t.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(bytes.Clone(name), b) })
	})
	return paths, err
}

// pair is a key and its value; a nil value means that the key was deleted.
type pair struct{ key, value []byte }

func (c *compaction) copyBucket(ctx context.Context, path string) error {
	for from := []byte{}; from != nil; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var page []pair
		if err := c.s.view(func(t *tx) error {
			page, from = pageFrom(bucketAt(t.Tx, path), from)
			return nil
		}); err != nil {
			return err
		}
		if err := c.write(path, page); err != nil {
			return err
		}
		c.pause()
	}
	return nil
}

// pageFrom returns a page of a bucket's pairs and the key to continue from, nil at its end.
func pageFrom(b *bbolt.Bucket, from []byte) (page []pair, next []byte) {
	if b == nil {
		return nil, nil
	}
	size := 0
	cursor := b.Cursor()
	for k, v := cursor.Seek(from); k != nil; k, v = cursor.Next() {
		if v == nil && b.Bucket(k) != nil {
			continue // it has a path of its own
		}
		if size > compactPage {
			return page, bytes.Clone(k)
		}
		page = append(page, pair{bytes.Clone(k), append([]byte{}, v...)})
		size += len(k) + len(v)
	}
	return page, nil
}

// write puts pairs into the new file.
func (c *compaction) write(path string, page []pair) error {
	err := c.db.Update(func(t *bbolt.Tx) error {
		b, err := makeAt(t, path)
		if err != nil {
			return err
		}
		b.FillPercent = dense
		for _, p := range page {
			if p.value == nil {
				err = b.Delete(p.key)
			} else {
				err = b.Put(p.key, p.value)
			}
			if err != nil {
				return err
			}
			c.bytes += len(p.key) + len(p.value)
		}
		return nil
	})
	if err != nil || c.bytes < compactSync {
		return err
	}
	return c.sync()
}

func (c *compaction) sync() error {
	c.bytes = 0
	if c.s.opts.NoSync {
		return nil
	}
	return c.db.Sync()
}

// endRound ends a round. If at most most keys were written during the round, it finishes
// the compaction while nobody can write; else those keys are the next round's.
func (c *compaction) endRound(most int) (changed *changes, last bool, err error) {
	s := c.s
	s.writer.Lock()
	defer s.writer.Unlock()
	changed = s.changes
	if s.broken {
		return nil, false, errors.New("a commit to disk failed meanwhile")
	}
	if changed.count > most {
		s.changes = newChanges()
		return changed, false, nil
	}
	began := time.Now()
	s.changes = nil
	if err := c.finish(changed); err != nil {
		return nil, false, err
	}
	c.done.Paused = time.Since(began)
	return nil, true, nil
}

// apply copies the changed keys into the new file, with their current values.
func (c *compaction) apply(ctx context.Context, changed *changes) error {
	for _, path := range slices.Sorted(maps.Keys(changed.keys)) {
		keys := slices.Sorted(maps.Keys(changed.keys[path]))
		for part := range slices.Chunk(keys, compactLast) {
			if err := ctx.Err(); err != nil {
				return err
			}
			page := make([]pair, len(part))
			if err := c.s.view(func(t *tx) error {
				b := bucketAt(t.Tx, path)
				for i, key := range part {
					page[i].key = []byte(key)
					if b == nil {
						continue // the transaction that made it failed
					}
					if v := b.Get(page[i].key); v != nil {
						page[i].value = append([]byte{}, v...)
					}
				}
				return nil
			}); err != nil {
				return err
			}
			if err := c.write(path, page); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish copies the rest and replaces the store's file by the new one. The writer lock is held.
func (c *compaction) finish(changed *changes) error {
	if err := c.apply(context.Background(), changed); err != nil {
		return err
	}
	if err := c.sequences(); err != nil {
		return err
	}
	if err := c.db.View(func(t *bbolt.Tx) error { c.done.After = t.Size(); return nil }); err != nil {
		return err
	}
	db, err := c.db, c.sync()
	c.db = nil
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	failpoint.At(failpoint.CompactCopied)
	return c.s.replaceBy(c.temp)
}

// sequences makes every bucket, empty ones included, and copies its sequence.
func (c *compaction) sequences() error {
	paths, err := c.paths()
	if err != nil {
		return err
	}
	numbers := make([]uint64, len(paths))
	if err := c.s.view(func(t *tx) error {
		for i, path := range paths {
			numbers[i] = bucketAt(t.Tx, path).Sequence()
		}
		return nil
	}); err != nil {
		return err
	}
	return c.db.Update(func(t *bbolt.Tx) error {
		for i, path := range paths {
			b, err := makeAt(t, path)
			if err == nil {
				err = b.SetSequence(numbers[i])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// abort removes the unfinished new file.
func (c *compaction) abort() error {
	c.s.writer.Lock()
	c.s.changes = nil
	c.s.writer.Unlock()
	var err error
	if c.db != nil {
		err = c.db.Close()
	}
	if gone := os.Remove(c.temp); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func (c *compaction) pause() {
	if c.s.betweenSteps != nil {
		c.s.betweenSteps()
	}
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
