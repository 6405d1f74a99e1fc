package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// groupBytes is the size of a transaction of rows. Between 4 and 8 MB bbolt is fastest.
const groupBytes = 4 << 20

// groupRefusals is the number of refused rows in a transaction.
const groupRefusals = 10_000

// storeRowWriter stores the rows of a check. Transactions run in parallel to the check, one at a
// time.
type storeRowWriter struct {
	store    Store
	s        *campaign.Sending
	group    *errgroup.Group
	ctx      context.Context // context of group; ends with its first error
	packer   store.Packer
	pending  []store.Packed
	size     int
	refusals []campaign.Refusal
	packs    chan []store.Packed
	header   []byte
	rejected *os.File                          // made with the first rejected row
	lines    io.Writer                         // writes to rejected
	free     func(path string) (uint64, error) // returns free bytes
}

func newStoreRowWriter(ctx context.Context, st Store, s *campaign.Sending, free func(path string) (uint64, error)) *storeRowWriter {
	w := &storeRowWriter{store: st, s: s, packs: make(chan []store.Packed, 1), free: free}
	w.group, w.ctx = errgroup.WithContext(ctx)
	w.group.Go(func() error {
		for chunks := range w.packs {
			if err := st.AppendRows(s.ID, chunks); err != nil {
				return err
			}
			failpoint.At(failpoint.RowsStored)
		}
		return nil
	})
	return w
}

// Header implements check.RowWriter.
func (w *storeRowWriter) Header(line []byte) { w.header = line }

// Chunk implements recipients.RowWriter.
func (w *storeRowWriter) Chunk(rows *campaign.Rows) error {
	packed := w.packer.Pack(rows)
	w.pending = append(w.pending, packed)
	w.size += packed.Size()
	if w.size < groupBytes {
		return nil
	}
	return w.flush()
}

func (w *storeRowWriter) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	chunks := w.pending
	w.pending, w.size = nil, 0
	select {
	case w.packs <- chunks:
		return nil
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// Refused implements recipients.RowWriter. Refusals are gathered, because every batch may have
// one.
func (w *storeRowWriter) Refused(refusals []campaign.Refusal, rejected []byte) error {
	if len(rejected) > 0 {
		if err := w.reject(rejected); err != nil {
			return err
		}
	}
	w.refusals = append(w.refusals, refusals...)
	if len(w.refusals) < groupRefusals {
		return nil
	}
	return w.flushRefusals()
}

func (w *storeRowWriter) flushRefusals() error {
	if len(w.refusals) == 0 {
		return nil
	}
	err := w.store.AppendRefusals(w.s.ID, w.refusals)
	clear(w.refusals) // their strings
	w.refusals = w.refusals[:0]
	return err
}

// reject writes lines of rejected.csv under a temporary name. Its error is check.ErrNoRoom if they would
// take the space that the disk keeps for what was accepted.
func (w *storeRowWriter) reject(lines []byte) error {
	if w.rejected == nil {
		f, err := os.CreateTemp(folders.Of(w.s), ".campaignd-*.tmp") // a name that Recover removes
		if err != nil {
			return err
		}
		w.rejected, w.lines = f, check.NewRoomWriter(f, f.Name(), w.free)
		if _, err := w.lines.Write(w.header); err != nil {
			return fmt.Errorf("write %s: %w", report.RejectedFile, err)
		}
	}
	if _, err := w.lines.Write(lines); err != nil {
		return fmt.Errorf("write %s: %w", report.RejectedFile, err)
	}
	return nil
}

// close stores the remaining rows and waits until they are committed.
func (w *storeRowWriter) close() error {
	err := errors.Join(w.flush(), w.flushRefusals())
	close(w.packs)
	return errors.Join(err, w.group.Wait())
}

// commitRejected gives the complete rejected.csv its name.
func (w *storeRowWriter) commitRejected() error {
	if w.rejected == nil {
		return nil
	}
	f := w.rejected
	w.rejected = nil
	err := errors.Join(f.Chmod(0o644), f.Close())
	if err == nil {
		err = safeio.SyncFile(f.Name())
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	failpoint.At(failpoint.RejectedWritten)
	final := filepath.Join(folders.Of(w.s), report.RejectedFile)
	// Replace one that an interrupted check left.
	err = os.Remove(final)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = safeio.Move(f.Name(), final)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // already gone if only the folder's sync failed; the check is repeated
	}
	return err
}

// discard removes an uncommitted rejected.csv.
func (w *storeRowWriter) discard() {
	if w.rejected == nil {
		return
	}
	_ = w.rejected.Close() // it is removed
	_ = os.Remove(w.rejected.Name())
	w.rejected = nil
}
