package intake

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// groupBytes is how much a transaction of rows holds (LIMITS: 4 to 8 MB).
const groupBytes = 4 << 20

// groupRefusals is how many refused rows a transaction holds.
const groupRefusals = 10_000

// storeSink stores what a check hands out. Transactions run beside the check, one at a time.
type storeSink struct {
	store    *store.Store
	s        *campaign.Sending
	group    *errgroup.Group
	ctx      context.Context // of group; ends with its first error
	packer   store.Packer
	pending  []store.Packed
	size     int
	refusals []campaign.Refusal
	packs    chan []store.Packed
	header   []byte
	rejected *os.File // made with the first rejected row
}

func newStoreSink(ctx context.Context, st *store.Store, s *campaign.Sending) *storeSink {
	k := &storeSink{store: st, s: s, packs: make(chan []store.Packed, 1)}
	k.group, k.ctx = errgroup.WithContext(ctx)
	k.group.Go(func() error {
		for chunks := range k.packs {
			if err := st.AppendRows(s.ID, chunks); err != nil {
				return err
			}
			failpoint.At(failpoint.RowsStored)
		}
		return nil
	})
	return k
}

// Header implements rowSink.
func (k *storeSink) Header(line []byte) { k.header = line }

// Chunk implements recipients.Sink.
func (k *storeSink) Chunk(rows *campaign.Rows) error {
	packed := k.packer.Pack(rows)
	k.pending = append(k.pending, packed)
	k.size += packed.Size()
	if k.size < groupBytes {
		return nil
	}
	return k.flush()
}

func (k *storeSink) flush() error {
	if len(k.pending) == 0 {
		return nil
	}
	chunks := k.pending
	k.pending, k.size = nil, 0
	select {
	case k.packs <- chunks:
		return nil
	case <-k.ctx.Done():
		return context.Cause(k.ctx)
	}
}

// Refused implements recipients.Sink. Refusals are gathered: there may be one a batch.
func (k *storeSink) Refused(refusals []campaign.Refusal, rejected []byte) error {
	if len(rejected) > 0 {
		if err := k.reject(rejected); err != nil {
			return err
		}
	}
	k.refusals = append(k.refusals, refusals...)
	if len(k.refusals) < groupRefusals {
		return nil
	}
	return k.flushRefusals()
}

func (k *storeSink) flushRefusals() error {
	if len(k.refusals) == 0 {
		return nil
	}
	err := k.store.AppendRefusals(k.s.ID, k.refusals)
	clear(k.refusals) // their strings
	k.refusals = k.refusals[:0]
	return err
}

// reject writes lines of rejected.csv under a temporary name.
func (k *storeSink) reject(lines []byte) error {
	if k.rejected == nil {
		f, err := os.CreateTemp(folder(k.s), ".campaignd-*.tmp") // a name that Recover clears away
		if err != nil {
			return err
		}
		k.rejected = f
		if _, err := f.Write(k.header); err != nil {
			return err
		}
	}
	_, err := k.rejected.Write(lines)
	return err
}

// close stores the rest and waits for it.
func (k *storeSink) close() error {
	err := errors.Join(k.flush(), k.flushRefusals())
	close(k.packs)
	return errors.Join(err, k.group.Wait())
}

// keepRejected gives rejected.csv its name once it is whole.
func (k *storeSink) keepRejected() error {
	if k.rejected == nil {
		return nil
	}
	f := k.rejected
	k.rejected = nil
	err := errors.Join(f.Chmod(0o644), f.Close())
	if err == nil {
		err = safeio.SyncFile(f.Name())
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	failpoint.At(failpoint.RejectedWritten)
	final := filepath.Join(folder(k.s), report.RejectedFile)
	// One left by a check that a crash cut off; this one replaces it.
	err = os.Remove(final)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = safeio.Move(f.Name(), final)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // gone already where only the folder's sync failed; the check is done again
	}
	return err
}

// discard drops a rejected.csv that isn't kept.
func (k *storeSink) discard() {
	if k.rejected == nil {
		return
	}
	_ = k.rejected.Close() // it goes away
	_ = os.Remove(k.rejected.Name())
	k.rejected = nil
}
