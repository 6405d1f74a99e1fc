package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/slots"
)

// errResend is returned for outcomes that can't be resent.
var errResend = errors.New("only unknown and failed messages are resent")

// Resending selects the messages that Resend moves.
type Resending struct {
	Outcomes    []campaign.Outcome // those with one of them: Unknown, Failed
	Undelivered bool               // and sent ones that the provider reported as undelivered; their receipts are removed
	DryRun      bool               // only count
}

// Resend moves messages back to Pending, with the Skipped ones after them, and returns how many it
// moved, and how many of these were undelivered.
// The sending must be completed, active, paused or held (else ErrState). Rows of a slice in
// which nothing else waits are due at once, unsliced. Rows of a slice still being sent stay
// in it. A completed sending is scheduled again and no longer filed.
func (s *Store) Resend(id campaign.ID, what Resending) (count, undelivered uint64, err error) {
	for _, o := range what.Outcomes {
		if o != campaign.Unknown && o != campaign.Failed {
			return 0, 0, fmt.Errorf("resend %s of %s: %w", o, id, errResend)
		}
	}
	r := &resender{Resending: what}
	in := s.update
	if what.DryRun {
		in = s.view
	}
	err = in(func(t *tx) error { return r.run(t, id) })
	return r.count, r.undelivered, err
}

// resender is one run of Resend.
type resender struct {
	Resending
	count       uint64
	undelivered uint64

	t        *tx
	n        uint64
	rec      *record
	counters counters
	failed   map[uint32]uint64 // undelivered messages by line, message 1 in bit 1
}

func (r *resender) run(t *tx, id campaign.ID) error {
	n, head, err := t.byID(id)
	if err != nil {
		return err
	}
	if head.DryRun || head.State == campaign.StateCanceled || head.State == campaign.StateRejected || head.State == campaign.StateChecking {
		return fmt.Errorf("resend messages of %s, which is %s: %w", id, head.State, ErrState)
	}
	r.t, r.n, r.count, r.undelivered = t, n, 0, 0
	if !r.DryRun {
		if err := t.s.resolveUnknown(t.Tx, n); err != nil {
			return err
		}
	}
	if r.Undelivered {
		if r.failed, err = inbound.Undelivered(t.Tx, n); err != nil {
			return err
		}
	}
	if _, r.rec, err = t.layoutOf(id); err != nil {
		return err
	}
	if r.counters, err = t.counters(n); err != nil {
		return err
	}
	list, err := slots.Of(t.Tx, n)
	if err != nil {
		return err
	}
	var fresh []slots.Slice
	at := now()
	for i := range list {
		one := &list[i]
		rows, live, err := r.slice(one)
		if err != nil {
			return err
		}
		if rows == 0 || live {
			continue
		}
		next := slots.Slice{Slice: campaign.Slice{Start: at, First: one.First, Rows: one.Rows, Recipients: rows}}
		one.Rows = 0 // kept for the report; its rows belong to the new slice
		if last := len(fresh) - 1; last >= 0 && fresh[last].First+fresh[last].Rows == next.First {
			fresh[last].Rows += next.Rows
			fresh[last].Recipients += next.Recipients
			continue
		}
		fresh = append(fresh, next)
	}
	if r.DryRun || r.count == 0 {
		return nil
	}
	list = slices.DeleteFunc(list, func(one slots.Slice) bool { return one.Rows == 0 && !one.Sliced() })
	if err := slots.Put(t.Tx, n, append(list, fresh...)); err != nil {
		return err
	}
	if err := t.putCounters(n, &r.counters); err != nil {
		return err
	}
	if !head.State.Final() {
		rec, err := t.record(n)
		if err != nil {
			return err
		}
		rec.finalizedAs = campaign.Pending
		return t.reschedule(n, rec)
	}
	r.rec.state, r.rec.finalizedAs, r.rec.due = head.State, campaign.Pending, offTimeline
	before := head.State
	head.State, head.Reason, head.Filed = campaign.StateScheduled, "", false
	if !head.StartedAt.IsZero() {
		head.State = campaign.StateSending
	}
	head.FinishedAt = time.Time{}
	return t.putHeader(n, head, before, r.rec)
}

// slice moves the messages to be resent in one slice. live reports whether some of its
// other messages still wait or are in flight.
func (r *resender) slice(one *slots.Slice) (rows uint32, live bool, err error) {
	for span, err := range r.t.spans(r.n, r.rec, one, one.First) {
		if err != nil {
			return 0, false, err
		}
		if span.statuses == nil {
			live = live || r.counters.base == campaign.Pending
			continue
		}
		var decoded campaign.Rows
		if r.rec.channels != nil || len(r.failed) > 0 {
			if err := r.t.chunk(r.n, span.first/campaign.ChunkRows, &unpacker{}, &decoded); err != nil {
				return 0, false, err
			}
		}
		span.statuses = slices.Clone(span.statuses)
		before := rows
		for row := span.first; row < span.end; row++ {
			statuses, line := span.row(row), uint32(0)
			if decoded.Len() > 0 {
				line = decoded.Lines[row%campaign.ChunkRows]
			}
			if r.rec.channels != nil {
				statuses = statuses[:r.rec.channels[decoded.Channels[row%campaign.ChunkRows]]]
			}
			moved, waits, err := r.row(statuses, line)
			if err != nil {
				return 0, false, err
			}
			live = live || waits
			if moved {
				rows++
			}
		}
		if rows > before && !r.DryRun {
			key := key12(r.n, span.first/campaign.ChunkRows)
			chunk := slices.Clone(r.t.Bucket(bucketStatuses).Get(key))
			copy(chunk[int(span.first%campaign.ChunkRows)*span.stride:], span.statuses)
			if err := r.t.Ascending(bucketStatuses).Put(key, chunk); err != nil {
				return 0, false, err
			}
		}
	}
	return rows, live, nil
}

// row moves the messages of one recipient, whose line is known if messages are undelivered.
func (r *resender) row(statuses []byte, line uint32) (moved, waits bool, err error) {
	before := campaign.Pending // the outcome of the message before
	for i := range statuses {
		status := campaign.MessageStatus(statuses[i])
		o := status.Outcome()
		// Only a message that was unknown until its receipt came has skipped messages after it.
		resolved := before == campaign.Sent && slices.Contains(r.Outcomes, campaign.Unknown)
		before = o
		undelivered := o == campaign.Sent && r.failed[line]&(1<<(i+1)) != 0
		switch {
		case !o.Final():
			waits = true
		case undelivered, slices.Contains(r.Outcomes, o), o == campaign.Skipped && (moved || resolved):
			if err := r.counters.move(o, campaign.Pending); err != nil {
				return false, false, err
			}
			// Its attempts start again at 0, or the first failure would be its last.
			statuses[i] = byte(campaign.NewMessageStatus(campaign.Pending, 0))
			if o == campaign.Unknown {
				statuses[i] = byte(campaign.MessageStatus(statuses[i]).WithMaybeDelivered())
			}
			if undelivered {
				r.undelivered++
				if !r.DryRun {
					if err := inbound.ForgetUndelivered(r.t.Tx, r.n, line, uint8(i+1)); err != nil {
						return false, false, err
					}
				}
			}
			moved = true
			r.count++
		}
	}
	return moved, waits, nil
}
