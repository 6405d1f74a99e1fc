package store

import (
	"fmt"
	"math"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/slots"
)

// SetState implements send.Store. It moves a sending that is in one of from (none: in any
// state), else it returns the state it found and false. A sending that has started moves
// to sending instead of scheduled. An illegal move is ErrState; only Finish sets completed.
func (s *Store) SetState(id campaign.ID, from []campaign.State, to campaign.State, reason string) (campaign.State, bool, error) {
	var state campaign.State
	moved := false
	err := s.update(func(t *tx) error {
		n, head, err := t.byID(id)
		if err != nil {
			return err
		}
		state = head.State
		if len(from) > 0 && !slices.Contains(from, state) || state == to {
			return nil
		}
		if to == campaign.StateCompleted || to == campaign.StateRejected || to == campaign.StateChecking {
			return fmt.Errorf("set %s to %s: %w", id, to, ErrState)
		}
		return t.change(n, func(head *campaign.Sending, _ *record) error {
			if to == campaign.StateScheduled && !head.StartedAt.IsZero() {
				to = campaign.StateSending
			}
			head.State, head.Reason = to, reason
			state, moved = to, true
			return nil
		})
	})
	if err != nil {
		return state, false, err
	}
	return state, moved, nil
}

// SetBlocked begins or ends a time in which closed windows or daily_contacts prevent the
// sending from going out; SetState does the same for pauses. By as
// much an unsliced sending expires later (plan.Expiry). Resuming a paused sending ends a time begun before, so
// call SetBlocked again if the sending still can't go out.
func (s *Store) SetBlocked(id campaign.ID, blocked bool, at time.Time) error {
	return s.Update(id, func(head *campaign.Sending) error {
		head.SetBlocked(blocked, at)
		return nil
	})
}

// Finish implements send.Store. A sending whose messages all have final outcomes becomes
// completed (a canceled one stays canceled) and gets FinishedAt; false if some haven't.
func (s *Store) Finish(id campaign.ID) (bool, error) {
	done := false
	err := s.update(func(t *tx) error {
		n, head, err := t.byID(id)
		if err != nil {
			return err
		}
		if head.State.Final() && !head.FinishedAt.IsZero() {
			done = true
			return nil
		}
		rec, err := t.record(n)
		if err != nil || rec == nil || rec.state == campaign.StateChecking {
			return err
		}
		if done, err = t.balanced(n, rec); err != nil || !done {
			return err
		}
		return t.change(n, func(head *campaign.Sending, _ *record) error {
			if !head.State.Final() {
				head.State, head.Reason = campaign.StateCompleted, ""
			}
			return nil
		})
	})
	return done && err == nil, err
}

// Finalize implements send.Store. It gives every message without a final outcome, except
// those in flight, the final outcome o, or Unknown if one of its attempts may have been
// delivered. It releases the reservations of messages that won't be sent. ended is how many
// messages got o, unknown how many got Unknown instead. A message in flight that comes back
// to be retried is ended in the same way.
func (s *Store) Finalize(id campaign.ID, o campaign.Outcome) (ended, unknown uint64, err error) {
	if !o.Final() {
		return 0, 0, fmt.Errorf("close %s out as %s: %w", id, o, ErrState)
	}
	err = s.update(func(t *tx) error {
		ended, unknown = 0, 0
		n, _, err := t.byID(id)
		if err != nil {
			return err
		}
		rec, err := t.record(n)
		if err != nil || rec == nil || rec.messages == 0 || rec.state == campaign.StateChecking {
			return err
		}
		b, err := t.counters(n)
		if err != nil {
			return err
		}
		freed, maybe, err := t.finalizeStatuses(n, rec, b.base, o)
		if err != nil {
			return err
		}
		ended, unknown = b.counts[campaign.Pending]+b.counts[campaign.Retrying]-maybe, maybe
		if err := slots.FreeUnsent(t.Tx, ownerOf, n, rec.application, freed); err != nil {
			return err
		}
		for _, bucket := range [][]byte{bucketRetries, bucketWaiting} {
			if _, err := t.DeletePrefixed(bucket, db.Key8(n), math.MaxInt); err != nil {
				return err
			}
		}
		b.counts[o] += ended
		b.counts[campaign.Unknown] += unknown
		b.counts[campaign.Pending], b.counts[campaign.Retrying] = 0, 0
		if b.base == campaign.Pending {
			b.base = o
		}
		rec.finalizedAs = o
		if err := t.putCounters(n, &b); err != nil {
			return err
		}
		if err := t.reschedule(n, rec); err != nil {
			return err
		}
		if rec.state.Final() {
			return t.change(n, func(*campaign.Sending, *record) error { return nil }) // sets FinishedAt if all outcomes are final
		}
		return nil
	})
	return ended, unknown, err
}

// finalizeStatuses gives o to all Pending and Retrying statuses, or Unknown to those that
// may have been delivered, which it counts. freed is how many messages of each slice that is
// being sent now it ended, by index in the list.
func (t *tx) finalizeStatuses(n uint64, rec *record, base, o campaign.Outcome) (freed map[int]int64, unknown uint64, err error) {
	list, err := slots.Of(t.Tx, n)
	if err != nil {
		return nil, 0, err
	}
	freed = map[int]int64{}
	at := now()
	for i := range list {
		one := &list[i]
		if one.Reserved == 0 || one.Start.After(at) || !one.End.After(at) {
			continue // future slots are released as a whole, past ones needn't be
		}
		for span, err := range t.spans(n, rec, one, one.First) {
			if err != nil {
				return nil, 0, err
			}
			if span.statuses == nil && base == campaign.Pending {
				freed[i] += int64(span.end-span.first) * int64(span.stride)
			}
			for _, m := range span.statuses {
				if out := campaign.MessageStatus(m).Outcome(); out == campaign.Pending || out == campaign.Retrying {
					freed[i]++
				}
			}
		}
	}
	b := t.Ascending(bucketStatuses)
	for chunk := range rec.chunks() {
		value := b.Get(key12(n, chunk))
		var fresh []byte
		for i, m := range value {
			before := campaign.MessageStatus(m)
			if out := before.Outcome(); out != campaign.Pending && out != campaign.Retrying {
				continue
			}
			if fresh == nil {
				fresh = slices.Clone(value)
			}
			becomes := o
			if before.MaybeDelivered() {
				becomes = o.IfMaybeDelivered()
			}
			if becomes != o {
				unknown++
			}
			fresh[i] = byte(campaign.NewMessageStatus(becomes, before.Attempts()))
		}
		if fresh != nil {
			if err := b.Put(key12(n, chunk), fresh); err != nil {
				return nil, 0, err
			}
		}
	}
	return freed, unknown, nil
}
