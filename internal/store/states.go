package store

import (
	"fmt"
	"slices"

	"campaignd/internal/campaign"
)

// SetState implements send.Book: it moves a sending if it is in one of from
// (none: whatever it is in), else it returns the state it found and false.
// A sending that has started becomes sending where scheduled was asked for. A move that the
// vocabulary doesn't know is ErrState; completed comes from Finish alone.
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

// Finish implements send.Book: a sending whose books balance becomes completed
// (a canceled one stays canceled) and gets FinishedAt; false if they don't balance yet.
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

// CloseOut implements send.Book: every message without a final outcome, but those in
// flight, gets the outcome o, which must be final; bookings of what will not be sent
// are freed. It returns how many messages that were. What comes back from flight as to
// be tried again gets o too.
func (s *Store) Finalize(id campaign.ID, o campaign.Outcome) (uint64, error) {
	if !o.Final() {
		return 0, fmt.Errorf("close %s out as %s: %w", id, o, ErrState)
	}
	var closed uint64
	err := s.update(func(t *tx) error {
		closed = 0
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
		closed = b.counts[campaign.Pending] + b.counts[campaign.Retrying]
		freed, err := t.finalizeStatuses(n, rec, b.base, o)
		if err != nil {
			return err
		}
		if err := t.freeUnsent(n, rec.application, freed); err != nil {
			return err
		}
		for _, bucket := range [][]byte{bucketRetries, bucketWaiting} {
			if err := t.dropPrefix(bucket, key8(n)); err != nil {
				return err
			}
		}
		b.counts[o] += closed
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
			return t.change(n, func(*campaign.Sending, *record) error { return nil }) // sets FinishedAt if they balance
		}
		return nil
	})
	return closed, err
}

// closeMarks gives o to all marks that are Pending or Retrying. It returns what chunks
// had marks and how many of each row's messages were closed, by row, for the rows of
// slices that are on now.
func (t *tx) finalizeStatuses(n uint64, rec *record, base, o campaign.Outcome) (map[int]int64, error) {
	list, err := t.slices(n)
	if err != nil {
		return nil, err
	}
	freed := map[int]int64{}
	at := now()
	stride := uint32(rec.messages)
	for i := range list {
		one := &list[i]
		if one.reserved == 0 || one.Start.After(at) || !one.End.After(at) {
			continue // of a slot to come all is freed, of a past one nothing needs to be
		}
		for row := one.First; row < one.First+one.Rows; row++ {
			marks := t.bucket(bucketStatuses).Get(key12(n, row/campaign.ChunkRows))
			if marks == nil {
				if base == campaign.Pending {
					freed[i] += int64(stride)
				}
				continue
			}
			first := row % campaign.ChunkRows * stride
			for _, m := range marks[first : first+stride] {
				if out := campaign.MessageStatus(m).Outcome(); out == campaign.Pending || out == campaign.Retrying {
					freed[i]++
				}
			}
		}
	}
	b := t.ascending(bucketStatuses)
	for chunk := range rec.chunks() {
		value := b.Get(key12(n, chunk))
		var fresh []byte
		for i, m := range value {
			if out := campaign.MessageStatus(m).Outcome(); out == campaign.Pending || out == campaign.Retrying {
				if fresh == nil {
					fresh = slices.Clone(value)
				}
				fresh[i] = byte(campaign.NewMessageStatus(o, campaign.MessageStatus(m).Attempts()))
			}
		}
		if fresh != nil {
			if err := b.Put(key12(n, chunk), fresh); err != nil {
				return nil, err
			}
		}
	}
	return freed, nil
}

// freeUnsent gives back what the sending has booked in slots to come, and in the
// present slot what freed says by the slice's place in the list.
func (t *tx) freeUnsent(n uint64, application int64, freed map[int]int64) error {
	slot := t.grid(application)
	if slot == 0 {
		return nil
	}
	list, err := t.slices(n)
	if err != nil {
		return err
	}
	table, err := t.slotTable(application, slot)
	if err != nil {
		return err
	}
	at, changed := now(), false
	for i := range list {
		one := &list[i]
		give := min(freed[i], int64(one.reserved))
		if one.Start.After(at) {
			give = int64(one.reserved)
		}
		if give == 0 {
			continue
		}
		if err := table.setReserved(one, one.reserved-uint32(give)); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return t.putSlices(n, list)
}

// rebook changes what a slice has booked.
func (b *slotTable) setReserved(one *slice, booked uint32) error {
	if err := b.release(one, int64(one.reserved)); err != nil {
		return err
	}
	one.reserved = booked
	return b.addReserved(one, int64(booked))
}
