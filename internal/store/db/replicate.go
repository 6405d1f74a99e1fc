package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/s2"

	"campaignd/internal/safeio"
)

// Log receives the write set of every commit of a replicated store.
type Log interface {
	// Append begins to append the write set of the commit that leads from one position to
	// another. It is called in the order of commits, before the commit is on the disk. It blocks
	// while the log takes nothing. After an error the commit doesn't happen; ErrDeposed ends
	// the store.
	//
	// acknowledged waits until the log has kept the set; nil: nobody needs to wait. Its error ends
	// the store, because the commit is on the disk then. It is called while further sets are
	// being appended.
	Append(before, after Position, set []byte) (acknowledged func() error, err error)
}

// ErrDeposed is returned when another hub has appended to the log: this one leads no more.
var ErrDeposed = errors.New("another hub has taken over")

// ErrUncertain is returned when a commit failed whose write set had been appended to the log. The
// process must end: the next start reads the set from the log.
var ErrUncertain = errors.New("a commit failed on the disk after it had been sent to the log; campaignd ends, and its next start reads it from the log")

// Replicate makes every commit from here on wait for log as well as for the disk. It makes the
// first one: the store records the epoch. Call it once, before anybody else writes.
func (d *DB) Replicate(log Log, epoch uint64) error {
	d.writer.Lock()
	d.log = log
	d.writer.Unlock()
	err := d.Update(func(t *Tx) error {
		return t.Bucket(Meta).Put(metaEpoch, binary.BigEndian.AppendUint64(nil, epoch))
	})
	if err != nil {
		return fmt.Errorf("begin epoch %d: %w", epoch, err)
	}
	return nil
}

// Position returns the store's position.
func (d *DB) Position() (p Position, err error) {
	err = d.View(func(t *Tx) error { p = t.position(); return nil })
	return p, err
}

// position returns the position after what the transaction has written so far.
func (t *Tx) position() Position {
	meta := t.Bucket(Meta)
	return positionOf(meta.Get(metaTag), meta.Get(metaEpoch), meta.Sequence())
}

func positionOf(tag, epoch []byte, commit uint64) Position {
	p := Position{Tag: string(tag), Commit: commit}
	if len(epoch) == 8 {
		p.Epoch = binary.BigEndian.Uint64(epoch)
	}
	return p
}

// snapshotChunk is the length of a chunk of a snapshot before it is packed.
const snapshotChunk = 256 << 10

// Snapshot makes a consistent copy of the store's file while the store is in use. It calls begin
// with the position and the length of the copy, then chunk with its parts in order, for Base.Add;
// chunk must not keep them. Both should be fast: pages freed meanwhile can't be reused. While a
// compaction is at work it returns ErrBusy, or if urgent makes the compaction's last step wait: it
// must not wait for a compaction while a commit waits for it.
func (d *DB) Snapshot(urgent bool, begin func(at Position, size int64) error, chunk func(packed []byte) error) error {
	if d.wholeFile.TryRLock() {
		defer d.wholeFile.RUnlock()
	} else if !urgent {
		return fmt.Errorf("copy store: %w", ErrBusy)
	}
	err := d.View(func(t *Tx) error {
		if err := begin(t.position(), t.Size()); err != nil {
			return err
		}
		w := &chunkWriter{chunk: chunk}
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
		return w.flush()
	})
	if err != nil {
		return fmt.Errorf("copy store: %w", err)
	}
	return nil
}

// chunkWriter packs what is written to it in chunks.
type chunkWriter struct {
	chunk  func(packed []byte) error
	plain  []byte
	packed []byte
}

func (w *chunkWriter) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m := min(len(p)-n, snapshotChunk-len(w.plain))
		w.plain = append(w.plain, p[n:n+m]...)
		n += m
		if len(w.plain) == snapshotChunk {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (w *chunkWriter) flush() error {
	if len(w.plain) == 0 {
		return nil
	}
	w.packed = s2.Encode(w.packed[:cap(w.packed)], w.plain)
	w.plain = w.plain[:0]
	return w.chunk(w.packed)
}

// spareBytes must be free on the disk before a write set is appended.
const spareBytes = 16 << 20

// appendSet begins to append the transaction's write set. before is the position at its begin. A
// disk without room is noticed before: after the append a commit must not fail.
func (t *Tx) appendSet(before Position) (err error) {
	dir := filepath.Dir(t.db.path)
	if free, err := safeio.FreeSpace(dir); err == nil && free < spareBytes+2*uint64(len(t.set.ops)) {
		return &fs.PathError{Op: "write", Path: t.db.path, Err: syscall.ENOSPC}
	}
	after := t.position()
	t.acknowledged, err = t.db.log.Append(before, after, t.set.encode(before, after))
	if errors.Is(err, ErrDeposed) {
		return t.db.guard.abandon(err)
	}
	return err
}
