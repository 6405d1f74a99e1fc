package store

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/slots"
)

// layoutOf returns the layout of a sending's statuses: from its record, or from its header once it is filed.
func (t *tx) layoutOf(id campaign.ID) (uint64, *record, error) {
	n := id.Number()
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

// span holds rows of one chunk, from first to before end, and their statuses: nil if all are at the base.
type span struct {
	first, end uint32
	stride     int
	statuses   []byte
}

// row returns the statuses of one of the rows.
func (s *span) row(row uint32) []byte {
	at := int(row-s.first) * s.stride
	return s.statuses[at : at+s.stride]
}

// spans yields the rows of a slice from the row first on, a chunk at a time.
func (t *tx) spans(n uint64, rec *record, one *slots.Slice, first uint32) iter.Seq2[span, error] {
	return func(yield func(span, error) bool) {
		for end := one.First + one.Rows; first < end; {
			chunk, in := first/campaign.ChunkRows, first%campaign.ChunkRows
			s := span{first: first, end: min(end, first-in+campaign.ChunkRows), stride: int(rec.messages)}
			var err error
			if value := t.Bucket(bucketStatuses).Get(key12(n, chunk)); value != nil {
				from, to := int(in)*s.stride, int(in+s.end-first)*s.stride
				if len(value) < to {
					err = fmt.Errorf("read statuses: %w: %w", ErrDamaged, codec.ErrMalformed)
				} else {
					s.statuses = value[from:to]
				}
			}
			if !yield(s, err) || err != nil {
				return
			}
			first = s.end
		}
	}
}

// parts yields the decoded values that a bucket has for the parts 0, 1, 2 … of a sending. Each is read in a
// transaction of its own, which has ended when it is yielded: a long one would make the file grow.
func parts[T any](c *core, bucket []byte, n uint64, decode func(part uint32, value []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for part, more := uint32(0), true; more; part++ {
			var one T
			err := c.view(func(t *tx) (err error) {
				value := t.Bucket(bucket).Get(key12(n, part))
				if more = value != nil; more {
					one, err = decode(part, value)
				}
				return err
			})
			more = (more || err != nil) && yield(one, err) && err == nil
		}
	}
}

// Rows implements send.Store: it fills rows with one chunk and returns the statuses of its
// messages in statuses' memory. A message that a row's channel doesn't have (its number is
// beyond the channel's campaign.ContentsFor) is Skipped with 0 attempts and not counted.
// ErrNotFound is returned past the last chunk.
func (s *Store) Rows(id campaign.ID, chunk uint32, rows *campaign.Rows, statuses []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	err := s.view(func(t *tx) error {
		n, rec, err := t.layoutOf(id)
		if err != nil {
			return err
		}
		statuses, err = t.rowsAndStatuses(n, rec, chunk, &unpacker{}, rows, statuses)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", id, err)
	}
	return statuses, nil
}

func (t *tx) rowsAndStatuses(n uint64, rec *record, chunk uint32, u *unpacker, rows *campaign.Rows, statuses []campaign.MessageStatus) ([]campaign.MessageStatus, error) {
	if err := t.chunk(n, chunk, u, rows); err != nil {
		return nil, err
	}
	value := t.Bucket(bucketStatuses).Get(key12(n, chunk))
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
		return nil, fmt.Errorf("read statuses: %w: %w", ErrDamaged, codec.ErrMalformed)
	}
	statuses = slices.Grow(statuses[:0], len(value))[:len(value)]
	for i, m := range value {
		statuses[i] = campaign.MessageStatus(m)
	}
	return statuses, nil
}

// EachChunk calls fn with every chunk of a sending's recipients in order. Each is read in
// a transaction of its own that ends before fn is called, since a long one would make the
// file grow. statuses has Sending.Messages statuses a row. entries are the latest details
// of its messages, sorted by row and message, at most one each, with the outcome of the
// status; a message that was never attempted has none. All three are valid during the
// call only. fn's error ends the iteration and is returned.
func (s *Store) EachChunk(id campaign.ID, fn func(rows *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error) error {
	var rows campaign.Rows
	var statuses []campaign.MessageStatus
	var entries []campaign.Entry
	u := &unpacker{}
	for chunk := uint32(0); ; chunk++ {
		more := false
		err := s.view(func(t *tx) error {
			n, rec, err := t.layoutOf(id)
			if err != nil {
				return err
			}
			if statuses, err = t.rowsAndStatuses(n, rec, chunk, u, &rows, statuses); err != nil {
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
		stride := len(statuses) / max(rows.Len(), 1)
		for i := range entries {
			e := &entries[i]
			at := int(e.Row-rows.First)*stride + int(e.Message) - 1
			if at >= len(statuses) {
				return fmt.Errorf("read chunk %d of %s: %w: %w", chunk, id, ErrDamaged, codec.ErrMalformed)
			}
			e.Sending, e.Outcome, e.MaybeDelivered = id, statuses[at].Outcome(), statuses[at].MaybeDelivered()
		}
		if err := fn(&rows, statuses, entries); err != nil {
			return err
		}
	}
}

// details appends the entries of a chunk's blocks in the order of recording.
func (t *tx) details(n uint64, chunk uint32, dst []campaign.Entry) ([]campaign.Entry, error) {
	for _, v := range t.Prefixed(bucketOutcomes, key12(n, chunk)) {
		err := decodeBlock(v, chunk*campaign.ChunkRows, func(e campaign.Entry) { dst = append(dst, e) })
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// latest sorts entries by row and message and keeps the last recorded of each.
func latest(entries []campaign.Entry) []campaign.Entry {
	order := func(a, b campaign.Entry) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Message, b.Message))
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
