package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"campaignd/internal/campaign"
)

// shapeOf is the layout of a sending's marks: from its record, or from its header once it is filed.
func (t *tx) layoutOf(id campaign.ID) (uint64, *record, error) {
	n, err := number(id)
	if err != nil {
		return 0, nil, err
	}
	rec, err := t.record(n)
	if err != nil {
		return 0, nil, err
	}
	if rec != nil && rec.id == id && rec.messages > 0 {
		return n, rec, nil
	}
	_, head, err := t.byID(id)
	if err != nil {
		return 0, nil, err
	}
	rec = &record{id: id, state: head.State}
	rec.setLayout(head)
	return n, rec, nil
}

// Rows implements send.Book: it fills rows and marks with one chunk, and returns
// marks. A message that a row's channel doesn't have (its number is beyond the
// channel's campaign.ContentsFor) is Skipped with 0 attempts and counts nowhere. Past
// the last chunk: ErrNotFound.
func (s *Store) Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, marks []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	err := s.view(func(t *tx) error {
		n, rec, err := t.layoutOf(id)
		if err != nil {
			return err
		}
		marks, err = t.rowsAndStatuses(n, rec, chunk, &unpacker{}, rows, marks)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", id, err)
	}
	return marks, nil
}

func (t *tx) rowsAndStatuses(n uint64, rec *record, chunk uint32, u *unpacker, rows *campaign.Rows, marks []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	if err := t.chunk(n, chunk, u, rows); err != nil {
		return nil, err
	}
	value := t.bucket(bucketStatuses).Get(key12(n, chunk))
	if value == nil {
		b, err := t.counters(n)
		if err != nil {
			return nil, err
		}
		if value, err = initialStatuses(rows.Len(), rec, rows.Channels, b.base); err != nil {
			return nil, err
		}
	}
	if len(value) != rows.Len()*int(rec.messages) {
		return nil, fmt.Errorf("read marks: %w: %w", ErrDamaged, errMalformed)
	}
	marks = slices.Grow(marks[:0], len(value))[:len(value)]
	for i, m := range value {
		marks[i] = campaign.MessageStatus(m)
	}
	return marks, nil
}

// EachChunk calls fn with every chunk of a sending's recipients in order, each read in
// a transaction of its own that ends before fn is called (PITFALLS 29). marks has
// Sending.Messages marks a row; entries are the latest details of its messages, sorted
// by row then message, at most one each, with the Outcome that the mark has; a message
// that was never attempted has none. All three are valid during the call only. fn's
// error ends the walk and is returned.
func (s *Store) EachChunk(id campaign.ID, fn func(rows *campaign.Rows, marks []campaign.MessageStatus, entries []campaign.Entry) error) error {
	var rows campaign.Rows
	var marks []campaign.MessageStatus
	var entries []campaign.Entry
	u := &unpacker{}
	for chunk := uint32(0); ; chunk++ {
		more := false
		err := s.view(func(t *tx) error {
			n, rec, err := t.layoutOf(id)
			if err != nil {
				return err
			}
			if marks, err = t.rowsAndStatuses(n, rec, chunk, u, &rows, marks); err != nil {
				if errors.Is(err, ErrNotFound) && (chunk >= rec.chunks() || chunk == 0) {
					return nil
				}
				return err
			}
			more = true
			entries, err = t.details(n, chunk, entries[:0])
			return err
		})
		if err != nil {
			return fmt.Errorf("read chunk %d of %s: %w", chunk, id, err)
		}
		if !more {
			return nil
		}
		entries = latest(entries)
		stride := len(marks) / max(rows.Len(), 1)
		for i := range entries {
			e := &entries[i]
			at := int(e.Row-rows.First)*stride + int(e.Message) - 1
			if at >= len(marks) {
				return fmt.Errorf("read chunk %d of %s: %w: %w", chunk, id, ErrDamaged, errMalformed)
			}
			e.Sending, e.Outcome = id, marks[at].Outcome()
		}
		if err := fn(&rows, marks, entries); err != nil {
			return err
		}
	}
}

// details are all entries of a chunk's blocks in the order in which they were written.
func (t *tx) details(n uint64, chunk uint32, dst []campaign.Entry) ([]campaign.Entry, error) {
	prefix := key12(n, chunk)
	c := t.bucket(bucketOutcomes).Cursor()
	for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
		err := decodeBlock(v, chunk*campaign.ChunkRows, func(e campaign.Entry) { dst = append(dst, e) })
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// latest sorts entries by row and message and keeps the last written of each.
func latest(entries []campaign.Entry) []campaign.Entry {
	order := func(a, b campaign.Entry) int {
		if a.Row != b.Row {
			return compare(a.Row, b.Row)
		}
		return compare(uint32(a.Message), uint32(b.Message))
	}
	if !slices.IsSortedFunc(entries, order) {
		slices.SortStableFunc(entries, order)
	}
	out := entries[:0]
	for i := range entries {
		if len(out) > 0 && order(out[len(out)-1], entries[i]) == 0 {
			out[len(out)-1] = entries[i]
			continue
		}
		out = append(out, entries[i])
	}
	return out
}
