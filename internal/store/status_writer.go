package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"campaignd/internal/campaign"
)

// ledger is one sending's books open for writing in a transaction. Marks, counts,
// details, the in-flight index and the retries change through it alone, so that they
// change together.
type statusWriter struct {
	t         *tx
	n         uint64
	rec       *record
	counters  *counters
	changed   bool
	started   time.Time // time of the first attempt met
	wakes     int64     // an instant at which something may be due that wasn't; 0: none
	recompute bool      // a message is Pending again: the timeline must be reckoned anew
}

// marks are a copy of a chunk's marks, made up if it has none yet.
func (l *statusWriter) statuses(chunk uint32) ([]byte, error) {
	rows := l.rec.rowsIn(chunk)
	value := l.t.bucket(bucketStatuses).Get(key12(l.n, chunk))
	if value != nil {
		if len(value) != rows*int(l.rec.messages) {
			return nil, fmt.Errorf("read marks: %w: %w", ErrDamaged, errMalformed)
		}
		return bytes.Clone(value), nil
	}
	var channels []uint8
	if l.rec.channels != nil {
		var decoded campaign.Rows
		if err := l.t.chunk(l.n, chunk, &unpacker{}, &decoded); err != nil {
			return nil, err
		}
		channels = decoded.Channels
	}
	return initialStatuses(rows, l.rec, channels, l.counters.base)
}

// freshMarks are the marks of a chunk that has none: all at base, and what a row's
// channel doesn't have Skipped.
func initialStatuses(rows int, rec *record, channels []uint8, base campaign.Outcome) ([]byte, error) {
	stride := int(rec.messages)
	marks := make([]byte, rows*stride)
	if base != campaign.Pending {
		for i := range marks {
			marks[i] = byte(base)
		}
	}
	if rec.channels == nil {
		return marks, nil
	}
	if len(channels) != rows {
		return nil, fmt.Errorf("make marks: %w: %w", ErrDamaged, errMalformed)
	}
	for i, channel := range channels {
		if int(channel) >= len(rec.channels) {
			return nil, fmt.Errorf("make marks: %w: %w", ErrDamaged, errMalformed)
		}
		for m := int(rec.channels[channel]); m < stride; m++ {
			marks[i*stride+m] = byte(campaign.Skipped)
		}
	}
	return marks, nil
}

// chunk enters what a group holds of one chunk.
func (l *statusWriter) writeChunk(w *chunkBatch) error {
	if len(w.entries) == 0 {
		return nil
	}
	marks, err := l.statuses(w.chunk)
	if err != nil {
		return err
	}
	inFlight, written := 0, false
	details := detailWriter{sw: l, chunk: w.chunk}
	stride := int(l.rec.messages)
	for i := range w.entries {
		c := &w.entries[i]
		e := c.entry
		first := int(e.Row%campaign.ChunkRows) * stride
		at := first + int(e.Message) - 1
		old := campaign.MessageStatus(marks[at]).Outcome()
		to := e.Outcome
		if to == campaign.InFlight && (!l.rec.state.Active() || !mayAttempt(marks[first:at], old)) {
			c.refuse(nil)
			continue
		}
		if !to.Final() && to != campaign.InFlight && l.rec.finalizedAs != campaign.Pending {
			to = l.rec.finalizedAs
		}
		if err := l.move(e, old, to); err != nil {
			return err
		}
		mark := campaign.NewMessageStatus(to, int(e.Attempts))
		marks[at] = byte(mark)
		written = true
		if old == campaign.InFlight {
			inFlight--
		}
		if to == campaign.InFlight {
			inFlight++
			continue
		}
		if to != campaign.Pending {
			if err := details.add(e, mark); err != nil {
				return err
			}
		}
		if to.Final() {
			if err := l.updateLater(e, to, marks[at+1:first+stride]); err != nil {
				return err
			}
		}
	}
	if !written {
		return nil
	}
	l.changed = true
	if err := l.t.ascending(bucketStatuses).Put(key12(l.n, w.chunk), marks); err != nil {
		return err
	}
	if err := l.inFlight(w.chunk, inFlight); err != nil {
		return err
	}
	return details.close()
}

// mayGo reports whether a message at old may be attempted after those before it.
// One in flight before it is let pass: a sender may have heard its answer and not recorded it yet.
func mayAttempt(before []byte, old campaign.Outcome) bool {
	for _, m := range before {
		if o := campaign.MessageStatus(m).Outcome(); o != campaign.Sent && o != campaign.InFlight {
			return false
		}
	}
	return old == campaign.Pending || old == campaign.Retrying
}

// move keeps the counts and the retries in step with one mark.
func (l *statusWriter) move(e *campaign.Entry, old, to campaign.Outcome) error {
	if err := l.counters.move(old, to); err != nil {
		return err
	}
	if old == campaign.Retrying {
		if err := l.t.dropRetry(l.n, e.Row, e.Message); err != nil {
			return err
		}
	}
	switch to {
	case campaign.InFlight:
		if l.started.IsZero() || e.At.Before(l.started) {
			l.started = e.At
		}
	case campaign.Retrying:
		due := max(e.NextAt.UnixNano(), 1)
		if err := l.t.putRetry(l.n, due, e); err != nil {
			return err
		}
		l.wake(due)
	case campaign.Pending:
		l.recompute = true
	}
	return nil
}

func (l *statusWriter) wake(at int64) {
	if l.wakes == 0 || at < l.wakes {
		l.wakes = at
	}
}

// behind deals with the recipient's later messages once one has its final outcome:
// after Sent the next may go; else none will.
func (l *statusWriter) updateLater(e *campaign.Entry, to campaign.Outcome, later []byte) error {
	for i := range later {
		old := campaign.MessageStatus(later[i]).Outcome()
		if old.Final() || old == campaign.InFlight {
			continue
		}
		if to == campaign.Sent {
			l.wake(1) // at once: by the clock of that moment it would be late once that is set back
			return nil
		}
		becomes := to
		if to == campaign.Failed || to == campaign.Unknown {
			becomes = campaign.Skipped
		}
		next := *e
		next.Message = e.Message + uint8(i) + 1
		if err := l.move(&next, old, becomes); err != nil {
			return err
		}
		later[i] = byte(campaign.NewMessageStatus(becomes, campaign.MessageStatus(later[i]).Attempts()))
	}
	return nil
}

// inFlight keeps the index of chunks that have something in flight.
func (l *statusWriter) inFlight(chunk uint32, by int) error {
	if by == 0 {
		return nil
	}
	b, key := l.t.bucket(bucketInFlight), key12(l.n, chunk)
	count := int64(by)
	if value := b.Get(key); len(value) == 4 {
		count += int64(binary.BigEndian.Uint32(value))
	}
	if count < 0 || count > math.MaxUint32 {
		return fmt.Errorf("count what is in flight: %w", ErrDamaged)
	}
	if count == 0 {
		return b.Delete(key)
	}
	return b.Put(key, binary.BigEndian.AppendUint32(nil, uint32(count)))
}

// close writes what concerns the sending as a whole.
func (l *statusWriter) close() error {
	if !l.changed {
		return nil
	}
	if err := l.t.putCounters(l.n, l.counters); err != nil {
		return err
	}
	if l.rec.state == campaign.StateScheduled && !l.started.IsZero() {
		if err := l.t.change(l.n, func(head *campaign.Sending, rec *record) error {
			head.State = campaign.StateSending
			if head.StartedAt.IsZero() {
				head.StartedAt = l.started.UTC()
			}
			*rec = *l.rec
			l.rec = rec
			return nil
		}); err != nil {
			return err
		}
	}
	if l.counters.counts.Final() == l.rec.planned {
		if l.rec.state.Final() {
			// The last result of a canceled sending: putHeader sets FinishedAt.
			return l.t.change(l.n, func(*campaign.Sending, *record) error { return nil })
		}
		return l.t.lower(l.n, l.rec, 0)
	}
	if l.recompute {
		return l.t.reschedule(l.n, l.rec)
	}
	if l.wakes != 0 {
		return l.t.lower(l.n, l.rec, l.wakes)
	}
	return nil
}

// detailer appends to a chunk's blocks of details.
type detailWriter struct {
	sw    *statusWriter
	chunk uint32
	w     blockWriter
	seq   uint16
	open  bool
}

func (d *detailWriter) add(e *campaign.Entry, mark campaign.MessageStatus) error {
	if !d.open {
		d.open = true
		prefix := key12(d.sw.n, d.chunk)
		c := d.sw.t.bucket(bucketOutcomes).Cursor()
		k, v := c.Seek(key14(d.sw.n, d.chunk, math.MaxUint16))
		if k == nil {
			k, v = c.Last()
		} else if !bytes.HasPrefix(k, prefix) {
			k, v = c.Prev()
		}
		if len(k) == 14 && bytes.HasPrefix(k, prefix) {
			d.seq = binary.BigEndian.Uint16(k[12:])
			if len(v) > 0 && v[0] == blockOpen && len(v) < blockBytes {
				if err := d.w.resume(v); err != nil {
					return err
				}
			} else {
				d.seq++
			}
		}
	}
	if len(d.w.b) >= blockBytes {
		if err := d.put(packBlock(d.w.b)); err != nil {
			return err
		}
		d.seq++
		d.w = blockWriter{}
	}
	if d.seq == math.MaxUint16 {
		return nil // 65,535 blocks of one chunk: only the marks go on
	}
	d.w.add(e, mark)
	return nil
}

func (d *detailWriter) put(value []byte) error {
	return d.sw.t.ascending(bucketOutcomes).Put(key14(d.sw.n, d.chunk, d.seq), value)
}

func (d *detailWriter) close() error {
	if len(d.w.b) == 0 || d.seq == math.MaxUint16 {
		return nil
	}
	if len(d.w.b) >= blockBytes {
		return d.put(packBlock(d.w.b))
	}
	return d.put(d.w.b)
}
