package store

import (
	"errors"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/plan"
	"campaignd/internal/store/slots"
)

// Replan implements send.Store. It slices the unsent messages of passed slices again from
// now on by the fragmented rule, whatever the sending's condition was (docs/contract.md 8).
// Messages that no longer fit before T + 48 h become Expired, or Unknown if they may have
// been delivered. It returns all slices and the number of messages that it ended so.
//
// A passed slice keeps its Start, End and the recipients it served. Its rows shrink to
// those before its first unsent one; the new slices take over the rest. A message that
// waits for a retry keeps its time and moves with its neighbors. Rows after the last one that
// fits stay in the passed slice, in a part of their own without recipients: some may be in flight
// or Retrying, and Resend looks for those that have ended.
func (s *Store) Replan(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, uint64, error) {
	var out []slots.Slice
	var expired uint64
	err := s.update(func(t *tx) error {
		expired = 0
		n, head, err := t.byID(id)
		if err != nil {
			return err
		}
		rec, err := t.record(n)
		if err != nil {
			return err
		}
		if out, err = slots.Of(t.Tx, n); err != nil || rec == nil || !rec.state.Active() {
			return err
		}
		sw, err := t.writer(n, rec)
		if err != nil {
			return err
		}
		table, err := slots.In(t.Tx, ownerOf, rec.application, grid.Slot)
		if err != nil {
			return err
		}
		r := &replanner{statusWriter: sw, now: now, table: table, grid: grid}
		if out, err = r.run(head, out); err != nil || !r.changed {
			return err
		}
		expired = r.expired
		if err := errors.Join(slots.Put(t.Tx, n, out), table.Close()); err != nil {
			return err
		}
		failpoint.At(failpoint.Replanned)
		r.recompute = true
		return r.close()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("slice %s again: %w", id, err)
	}
	return slots.Plain(out), expired, nil
}

// replanner is one run of Replan.
type replanner struct {
	*statusWriter
	now     time.Time
	table   *slots.Table
	grid    plan.Grid
	expired uint64

	places []plan.Placement // placements with room left; the first may be used in part
	made   []slots.Slice

	before      []byte // statuses of beforeChunk before the run
	beforeChunk uint32
}

// rowProgress is a row's progress as far as slicing is concerned.
type rowProgress uint8

const (
	rowDone       rowProgress = iota // all its messages have final outcomes
	rowInProgress                    // its next message is in flight or Retrying
	rowUnsent                        // its next message is Pending
)

func (r *replanner) run(head *campaign.Sending, list []slots.Slice) ([]slots.Slice, error) {
	unsent := make([]uint32, len(list))
	all := uint32(0)
	for i := range list {
		if one := &list[i]; one.Sliced() && !one.End.After(r.now) {
			if err := r.each(one, func(_ uint32, s rowProgress) error {
				if s == rowUnsent {
					unsent[i]++
				}
				return nil
			}); err != nil {
				return nil, err
			}
			all += unsent[i]
		}
	}
	if all == 0 {
		return list, nil
	}
	r.changed = true
	var err error
	if r.places, _, err = r.grid.Replan(r.table, r.now, head.ScheduledAt.Add(plan.Horizon), all, int(r.rec.messages)); err != nil {
		return nil, err
	}
	kept := list[:0:0]
	for i := range list {
		if unsent[i] == 0 {
			kept = append(kept, list[i])
			continue
		}
		left, err := r.replanSlice(&list[i], unsent[i])
		if err != nil {
			return nil, err
		}
		kept = append(kept, left...)
	}
	return append(kept, r.made...), nil
}

// replanSlice slices the unsent rows of one passed slice again and returns its remainder.
func (r *replanner) replanSlice(one *slots.Slice, unsent uint32) ([]slots.Slice, error) {
	served := *one
	moved := int64(unsent) * int64(r.rec.messages)
	if err := r.table.SetReserved(&served, one.Reserved-uint32(min(moved, int64(one.Reserved)))); err != nil {
		return nil, err
	}
	served.Recipients -= min(unsent, served.Recipients)
	served.Rows = one.Rows

	// open is the slice under construction; the new ones reach to the row rest.
	var open *slots.Slice
	rest, end := one.First, one.First+one.Rows
	expire := &chunkBatch{number: r.n}
	err := r.each(one, func(row uint32, s rowProgress) error {
		if s == rowDone {
			return nil
		}
		if open == nil {
			served.Rows = min(served.Rows, row-one.First)
		}
		if s == rowInProgress {
			return nil
		}
		if open == nil || r.places[0].Recipients == open.Recipients {
			if open != nil {
				if err := r.closeSlice(open, row); err != nil {
					return err
				}
				r.places = r.places[1:]
				open, rest = nil, row
			}
			if len(r.places) == 0 {
				return r.expire(expire, row)
			}
			first := max(rest, one.First+served.Rows) // rows in progress before the first unsent one move along
			open = &slots.Slice{Slice: campaign.Slice{Start: r.places[0].Start.UTC(), End: r.places[0].End.UTC(), First: first}}
		}
		open.Recipients++
		return nil
	})
	if err != nil {
		return nil, err
	}
	if open != nil {
		last := r.places[0].Recipients == open.Recipients
		used := open.Recipients
		if err := r.closeSlice(open, end); err != nil {
			return nil, err
		}
		if r.places[0].Recipients -= used; last {
			r.places = r.places[1:]
		}
		rest = end
	}
	if err := r.flush(expire); err != nil {
		return nil, err
	}
	if rest == one.First { // nothing fits
		served.Rows = one.Rows
		return []slots.Slice{served}, nil
	}
	var left []slots.Slice
	if served.Recipients > 0 || served.Rows > 0 {
		left = append(left, served)
	}
	if rest < end {
		left = append(left, slots.Slice{Slice: campaign.Slice{Start: one.Start, End: one.End, First: rest, Rows: end - rest}})
	}
	return left, nil
}

// closeSlice ends a new slice before the row end and reserves its slot. A slice that
// continues the last one, in the same slot, is merged with it, so that both are paced as one.
func (r *replanner) closeSlice(one *slots.Slice, end uint32) error {
	one.Rows = end - one.First
	if err := r.table.Reserve(one, r.places[0].Slot, r.grid.Capacity, int(r.rec.messages)); err != nil {
		return err
	}
	if n := len(r.made); n > 0 {
		if last := &r.made[n-1]; last.Start.Equal(one.Start) && last.First+last.Rows == one.First {
			last.Rows += one.Rows
			last.Recipients += one.Recipients
			last.Reserved += one.Reserved
			return nil
		}
	}
	r.made = append(r.made, *one)
	return nil
}

// expire ends the row's Pending messages. Entries of one chunk are written together.
func (r *replanner) expire(w *chunkBatch, row uint32) error {
	if chunk := row / campaign.ChunkRows; chunk != w.chunk && len(w.runs) > 0 {
		if err := r.flush(w); err != nil {
			return err
		}
	}
	w.chunk = row / campaign.ChunkRows
	if r.before == nil || r.beforeChunk != w.chunk {
		var err error
		if r.before, err = r.statuses(w.chunk); err != nil {
			return err
		}
		r.beforeChunk = w.chunk
	}
	stride := int(r.rec.messages)
	in := int(row%campaign.ChunkRows) * stride
	for i, m := range r.before[in : in+stride] {
		if status := campaign.MessageStatus(m); status.Outcome() == campaign.Pending {
			w.add(campaign.Entry{Sending: r.rec.id, Row: row,
				Message: uint8(i) + 1, Outcome: campaign.Expired, Attempts: uint8(status.Attempts()), At: r.now})
			break // the later ones expire with it
		}
	}
	return nil
}

func (r *replanner) flush(w *chunkBatch) error {
	ended := func() uint64 { return r.counters.counts[campaign.Expired] + r.counters.counts[campaign.Unknown] }
	before := ended()
	if err := r.writeChunk(w); err != nil {
		return err
	}
	r.expired += ended() - before
	w.runs = nil
	return nil
}

// each calls fn with the progress of every row of a slice.
func (r *replanner) each(one *slots.Slice, fn func(row uint32, s rowProgress) error) error {
	for span, err := range r.t.spans(r.n, r.rec, one, one.First) {
		if err != nil {
			return err
		}
		for row := span.first; row < span.end; row++ {
			s := rowDone
			switch {
			case span.statuses == nil && r.counters.base == campaign.Pending:
				s = rowUnsent
			case span.statuses != nil:
				s = progressOf(span.row(row))
			}
			if err := fn(row, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func progressOf(statuses []byte) rowProgress {
	switch first, o := campaign.FirstOpen(statuses); {
	case first < 0:
		return rowDone
	case o == campaign.Pending:
		return rowUnsent
	}
	return rowInProgress
}
