package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/slots"
)

// statusWriter changes the messages of one sending in a transaction. Statuses, counters,
// details, the in-flight index and the retries change only through it, so that they agree.
type statusWriter struct {
	t         *tx
	n         uint64
	rec       *record
	counters  *counters
	changed   bool
	started   time.Time // time of the first attempt written
	wakes     int64     // an instant at which something may become due; 0: none
	recompute bool      // a message is Pending again: recompute the timeline entry
	seen      uint64    // attempts that count for the slot of seenAt
	seenAt    time.Time
	handOuts  answer // whether the bucket of hand-outs exists
}

// writer returns a statusWriter of a sending.
func (t *tx) writer(n uint64, rec *record) (*statusWriter, error) {
	b, err := t.counters(n)
	return &statusWriter{t: t, n: n, rec: rec, counters: &b}, err
}

// statuses returns a copy of a chunk's statuses, or the initial ones if it has none yet.
func (sw *statusWriter) statuses(chunk uint32) ([]byte, error) {
	rows := sw.rec.rowsIn(chunk)
	value := sw.t.Bucket(bucketStatuses).Get(key12(sw.n, chunk))
	if value != nil {
		if len(value) != rows*int(sw.rec.messages) {
			return nil, fmt.Errorf("read statuses: %w: %w", ErrDamaged, codec.ErrMalformed)
		}
		return bytes.Clone(value), nil
	}
	var channels []uint8
	if sw.rec.channels != nil {
		var decoded campaign.Rows
		if err := sw.t.chunk(sw.n, chunk, &unpacker{}, &decoded); err != nil {
			return nil, err
		}
		channels = decoded.Channels
	}
	return initialStatuses(rows, sw.rec, channels, sw.counters.base)
}

// initialStatuses returns the statuses of a chunk that has none: all at base, and Skipped
// for messages that a row's channel doesn't have.
func initialStatuses(rows int, rec *record, channels []uint8, base campaign.Outcome) ([]byte, error) {
	stride := int(rec.messages)
	statuses := make([]byte, rows*stride)
	if base != campaign.Pending {
		for i := range statuses {
			statuses[i] = byte(base)
		}
	}
	if rec.channels == nil {
		return statuses, nil
	}
	if len(channels) != rows {
		return nil, fmt.Errorf("make statuses: %w: %w", ErrDamaged, codec.ErrMalformed)
	}
	for i, channel := range channels {
		if int(channel) >= len(rec.channels) {
			return nil, fmt.Errorf("make statuses: %w: %w", ErrDamaged, codec.ErrMalformed)
		}
		for m := int(rec.channels[channel]); m < stride; m++ {
			statuses[i*stride+m] = byte(campaign.Skipped)
		}
	}
	return statuses, nil
}

// writeChunk writes a group's entries of one chunk.
func (sw *statusWriter) writeChunk(w *chunkBatch) error {
	if len(w.runs) == 0 {
		return nil
	}
	statuses, err := sw.statuses(w.chunk)
	if err != nil {
		return err
	}
	inFlight, written := 0, false
	details := detailWriter{sw: sw, chunk: w.chunk}
	stride := int(sw.rec.messages)
	for r, i := range w.all() {
		e := &r.entries[i]
		first := int(e.Row%campaign.ChunkRows) * stride
		at := first + int(e.Message) - 1
		before := campaign.MessageStatus(statuses[at])
		old, to := before.Outcome(), e.Outcome
		if to == campaign.InFlight && (!sw.rec.state.Active() || !mayAttempt(statuses[first:at], old)) {
			r.refuse(i)
			continue
		}
		if !to.Final() && to != campaign.InFlight && sw.rec.finalizedAs != campaign.Pending {
			to = sw.rec.finalizedAs
		}
		asked := to // for the recipient's later messages
		if before.MaybeDelivered() && !e.MaybeDelivered {
			known := *e
			known.MaybeDelivered = true
			e = &known
		}
		if e.MaybeDelivered {
			to = asked.IfMaybeDelivered()
		}
		if err := sw.move(e, old, to); err != nil {
			return err
		}
		status := campaign.NewMessageStatus(to, int(e.Attempts))
		if e.MaybeDelivered {
			status = status.WithMaybeDelivered()
		}
		statuses[at] = byte(status)
		written = true
		if e.Seen {
			sw.seen++
			sw.seenAt = e.At
		}
		if old == campaign.InFlight {
			inFlight--
		}
		if err := sw.putHandOut(e, old, to); err != nil {
			return err
		}
		if to == campaign.InFlight {
			inFlight++
			continue
		}
		if to != campaign.Pending {
			if err := details.add(e, status); err != nil {
				return err
			}
		}
		if to.Final() {
			if err := sw.updateLater(e, asked, statuses[at+1:first+stride]); err != nil {
				return err
			}
		}
	}
	if !written {
		return nil
	}
	sw.changed = true
	if err := sw.t.Ascending(bucketStatuses).Put(key12(sw.n, w.chunk), statuses); err != nil {
		return err
	}
	if err := sw.inFlight(w.chunk, inFlight); err != nil {
		return err
	}
	return details.close()
}

// mayAttempt reports whether a message at old may be attempted, given the messages before
// it. An earlier one may be in flight: the sender may know its answer before it is recorded.
func mayAttempt(before []byte, old campaign.Outcome) bool {
	for _, m := range before {
		if o := campaign.MessageStatus(m).Outcome(); o != campaign.Sent && o != campaign.InFlight {
			return false
		}
	}
	return old == campaign.Pending || old == campaign.Retrying
}

// move updates the counters and the retries for one changed status.
func (sw *statusWriter) move(e *campaign.Entry, old, to campaign.Outcome) error {
	if err := sw.counters.move(old, to); err != nil {
		return err
	}
	if old == campaign.Retrying {
		if err := sw.t.dropRetry(sw.n, e.Row, e.Message); err != nil {
			return err
		}
	}
	switch to {
	case campaign.InFlight:
		if sw.started.IsZero() || e.At.Before(sw.started) {
			sw.started = e.At
		}
	case campaign.Retrying:
		due := max(e.NextAt.UnixNano(), 1)
		if err := sw.t.putRetry(sw.n, due, e); err != nil {
			return err
		}
		sw.wake(due)
	case campaign.Pending:
		sw.recompute = true
	}
	return nil
}

func (sw *statusWriter) wake(at int64) {
	if sw.wakes == 0 || at < sw.wakes {
		sw.wakes = at
	}
}

// updateLater handles the recipient's later messages once one has its final outcome:
// after Sent the next may be sent, else none will be. to is the outcome that was asked for.
func (sw *statusWriter) updateLater(e *campaign.Entry, to campaign.Outcome, later []byte) error {
	for i := range later {
		before := campaign.MessageStatus(later[i])
		old := before.Outcome()
		if old.Final() || old == campaign.InFlight {
			continue
		}
		if to == campaign.Sent {
			sw.wake(1) // at once: the current time would be too late if the clock is set back
			return nil
		}
		after := before.After(to)
		next := *e
		next.Message = e.Message + uint8(i) + 1
		if err := sw.move(&next, old, after.Outcome()); err != nil {
			return err
		}
		later[i] = byte(after)
	}
	return nil
}

// inFlight updates the number of a chunk's messages in flight.
func (sw *statusWriter) inFlight(chunk uint32, by int) error {
	if by == 0 {
		return nil
	}
	b, key := sw.t.Bucket(bucketInFlight), key12(sw.n, chunk)
	count := int64(by)
	if value := b.Get(key); len(value) == 4 {
		count += int64(binary.BigEndian.Uint32(value))
	}
	if count < 0 || count > math.MaxUint32 {
		return fmt.Errorf("count messages in flight: %w", ErrDamaged)
	}
	if count == 0 {
		return b.Delete(key)
	}
	return b.Put(key, binary.BigEndian.AppendUint32(nil, uint32(count)))
}

// close writes the changes that concern the sending as a whole.
func (sw *statusWriter) close() error {
	if !sw.changed {
		return nil
	}
	if err := sw.t.putCounters(sw.n, sw.counters); err != nil {
		return err
	}
	if err := slots.CountAttempts(sw.t.Tx, sw.rec.application, sw.seenAt, sw.seen); err != nil {
		return err
	}
	if sw.rec.state == campaign.StateScheduled && !sw.started.IsZero() {
		if err := sw.t.change(sw.n, func(head *campaign.Sending, rec *record) error {
			head.State = campaign.StateSending
			if head.StartedAt.IsZero() {
				head.StartedAt = sw.started.UTC()
			}
			*rec = *sw.rec
			sw.rec = rec
			return nil
		}); err != nil {
			return err
		}
	}
	if sw.counters.counts.Final() == sw.rec.planned {
		if sw.rec.state.Final() {
			// This was the last result of a canceled sending: putHeader sets FinishedAt.
			return sw.t.change(sw.n, func(*campaign.Sending, *record) error { return nil })
		}
		return sw.t.lower(sw.n, sw.rec, 0)
	}
	if sw.recompute {
		return sw.t.reschedule(sw.n, sw.rec)
	}
	if sw.wakes != 0 {
		return sw.t.lower(sw.n, sw.rec, sw.wakes)
	}
	return nil
}

// detailWriter appends to a chunk's blocks of details.
type detailWriter struct {
	sw    *statusWriter
	chunk uint32
	w     blockWriter
	seq   uint16
	open  bool
}

func (d *detailWriter) add(e *campaign.Entry, status campaign.MessageStatus) error {
	if !d.open {
		d.open = true
		prefix := key12(d.sw.n, d.chunk)
		c := d.sw.t.Bucket(bucketOutcomes).Cursor()
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
		return nil // 65,535 blocks of one chunk: only the statuses are still updated
	}
	d.w.add(e, status)
	return nil
}

func (d *detailWriter) put(value []byte) error {
	return d.sw.t.Ascending(bucketOutcomes).Put(key14(d.sw.n, d.chunk, d.seq), value)
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
