package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/optout"
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

// Resent counts a sending's messages by their outcome before the resend.
type Resent struct {
	Moved campaign.Counts // those that are sent again: Sent counts the undelivered ones
	Left  campaign.Counts // all others
}

// Resend moves messages back to Pending, with the Skipped ones after them. Messages whose contact has
// opted out stay as they are.
// The sending must be completed, active, paused or held (else ErrState). Rows of a slice in
// which nothing else waits are due at once, unsliced. Rows of a slice still being sent stay
// in it. A completed sending is scheduled again and no longer filed.
func (s *Store) Resend(id campaign.ID, what Resending) (Resent, error) {
	for _, o := range what.Outcomes {
		if o != campaign.Unknown && o != campaign.Failed {
			return Resent{}, fmt.Errorf("resend %s of %s: %w", o, id, errResend)
		}
	}
	r := &resender{Resending: what, optOuts: s.Table}
	in := s.update
	if what.DryRun {
		in = s.view
	}
	err := in(func(t *tx) error { return r.run(t, id) })
	return r.resent, err
}

// resender is one run of Resend.
type resender struct {
	Resending
	optOuts *optout.Table
	resent  Resent

	t        *tx
	n        uint64
	head     *campaign.Sending
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
	r.t, r.n, r.head, r.resent = t, n, head, Resent{}
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
	r.resent.Left = r.counters.counts
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
	if r.DryRun || r.resent.Moved.Final() == 0 {
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

// slice moves the messages to be resent in one slice and counts their recipients. live reports whether some of its
// other messages still wait or are in flight.
func (r *resender) slice(one *slots.Slice) (recipients uint32, live bool, err error) {
	for span, err := range r.t.spans(r.n, r.rec, one, one.First) {
		if err != nil {
			return 0, false, err
		}
		if span.statuses == nil {
			live = live || r.counters.base == campaign.Pending
			continue
		}
		var rows campaign.Rows
		if r.rec.channels != nil || slices.ContainsFunc(span.statuses, r.selects) {
			if err := r.t.chunk(r.n, span.first/campaign.ChunkRows, &unpacker{}, &rows); err != nil {
				return 0, false, err
			}
		}
		span.statuses = slices.Clone(span.statuses)
		before := recipients
		for row := span.first; row < span.end; row++ {
			statuses, i := span.row(row), int(row%campaign.ChunkRows)
			if r.rec.channels != nil {
				statuses = statuses[:r.rec.channels[rows.Channels[i]]]
			}
			moved, waits, err := r.row(statuses, &rows, i)
			if err != nil {
				return 0, false, err
			}
			live = live || waits
			if moved {
				recipients++
			}
		}
		if recipients > before && !r.DryRun {
			key := key12(r.n, span.first/campaign.ChunkRows)
			chunk := slices.Clone(r.t.Bucket(bucketStatuses).Get(key))
			copy(chunk[int(span.first%campaign.ChunkRows)*span.stride:], span.statuses)
			if err := r.t.Ascending(bucketStatuses).Put(key, chunk); err != nil {
				return 0, false, err
			}
		}
	}
	return recipients, live, nil
}

// selects reports whether a message with this status may have to be moved.
func (r *resender) selects(status byte) bool {
	o := campaign.MessageStatus(status).Outcome()
	return slices.Contains(r.Outcomes, o) || o == campaign.Sent && len(r.failed) > 0 ||
		o == campaign.Skipped && slices.Contains(r.Outcomes, campaign.Unknown)
}

// row moves the messages of recipient i of rows, which are unpacked if one of them may have to be moved.
func (r *resender) row(statuses []byte, rows *campaign.Rows, i int) (moved, waits bool, err error) {
	before := campaign.Pending // the outcome of the message before
	var barred, asked bool
	for m := range statuses {
		o := campaign.MessageStatus(statuses[m]).Outcome()
		// Only a message that was unknown until its receipt came has skipped messages after it.
		resolved := before == campaign.Sent && slices.Contains(r.Outcomes, campaign.Unknown)
		before = o
		switch {
		case !o.Final():
			waits = true
			continue
		case o == campaign.Sent && (len(r.failed) == 0 || r.failed[rows.Lines[i]]&(1<<(m+1)) == 0),
			o == campaign.Skipped && !moved && !resolved,
			o != campaign.Skipped && !r.selects(statuses[m]):
			continue
		}
		if !asked {
			if barred, err = r.optedOut(rows, i); err != nil {
				return false, false, err
			}
			asked = true
		}
		if barred {
			continue
		}
		if err := r.move(statuses, rows, i, m); err != nil {
			return false, false, err
		}
		moved = true
	}
	return moved, waits, nil
}

func (r *resender) optedOut(rows *campaign.Rows, i int) (bool, error) {
	channel := r.head.Channels[rows.Channels[i]]
	return r.optOuts.OptedOutIn(r.t.Tx, r.head.ApplicationID, channel, campaign.AppendContact(nil, rows.Contacts.At(i), rows.To(i)))
}

// move moves message m of recipient i, both from 0.
func (r *resender) move(statuses []byte, rows *campaign.Rows, i, m int) error {
	o := campaign.MessageStatus(statuses[m]).Outcome()
	if err := r.counters.move(o, campaign.Pending); err != nil {
		return err
	}
	r.resent.Moved[o]++
	r.resent.Left[o]--
	// Its attempts start again at 0, or the first failure would be its last.
	status := campaign.NewMessageStatus(campaign.Pending, 0)
	if o == campaign.Unknown {
		status = status.WithMaybeDelivered()
	}
	statuses[m] = byte(status)
	if o == campaign.Sent && !r.DryRun {
		return inbound.ForgetUndelivered(r.t.Tx, r.n, rows.Lines[i], uint8(m+1))
	}
	return nil
}
