package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/plan"
	"campaignd/internal/store/db"
	"campaignd/internal/store/slots"
)

// A timeline entry is the instant at which its sending has something to do, or an
// earlier one. As messages go out, the sending's next instant moves on. Writing that
// down at every commit would cost more than scanning the few sendings whose entry has
// come. Due scans them and corrects the entry.

// scan remembers, between two scans of a sending, the part of its slices in which no
// message can become due any more.
type scan struct {
	slice int    // in order of time: all slices before it are done
	row   uint32 // within that slice: all rows before it are done
}

// scans remembers the scans of all sendings. A change that makes a message due earlier
// (a retry, a message that is Pending again, new slices) raises changes. A scan begun
// before it is then neither remembered nor used for a correction.
type scans struct {
	mu       sync.Mutex // guards the fields below
	byNumber map[uint64]*scan
	changes  uint64
}

func (s *scans) of(n uint64) (scan, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.byNumber[n]; one != nil {
		return *one, s.changes
	}
	return scan{}, s.changes
}

func (s *scans) remember(n uint64, one scan, changes uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == changes {
		s.byNumber[n] = &one
	}
}

// forget is called before and after the commit of a change that makes a message due earlier.
func (s *scans) forget(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byNumber, n)
	s.changes++
}

func (s *scans) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byNumber)
	s.changes++
}

func (s *scans) now() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// Timeline tells which sendings have something to do, and when.
type Timeline struct{ *core }

// Due implements send.Store. It returns the active sendings with something due at or
// before until: a slice that starts by then and has a recipient whose next message is
// Pending, a retry, counters that balance, so that the sending needs Finish, or a retry
// that would be after the earliest time at which the sending expires. Pacing within a slice is
// the caller's. next is never late; it may be early if its message has been sent meanwhile.
func (s Timeline) Due(until time.Time) (ids []campaign.ID, next time.Time, err error) {
	limit := until.UnixNano()
	earliest := int64(noDue)
	changes := s.scans.now()
	late := map[uint64]int64{}
	err = s.view(func(t *tx) error {
		c := t.Bucket(bucketTimeline).Cursor()
		k, _ := c.First()
		for ; k != nil; k, _ = c.Next() {
			due, n, ok := splitTimeline(k)
			if !ok {
				return fmt.Errorf("read timeline: %w: %w", ErrDamaged, codec.ErrMalformed)
			}
			if due > limit {
				earliest = min(earliest, due)
				break
			}
			rec, err := t.record(n)
			if err != nil {
				return err
			}
			if rec == nil {
				return fmt.Errorf("read timeline: %w: sending number %d is not active", ErrDamaged, n)
			}
			exact, after, err := t.nextDue(n, rec, limit, true)
			if err != nil {
				return err
			}
			earliest = min(earliest, after)
			if exact > limit {
				if exact, err = t.beforeExpiry(n, exact); err != nil {
					return err
				}
			}
			if exact <= limit {
				ids = append(ids, rec.id)
			} else {
				late[n] = exact
				earliest = min(earliest, exact)
			}
		}
		return nil
	})
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(late) > 0 {
		if err := s.correct(late, changes); err != nil {
			return nil, time.Time{}, err
		}
	}
	if earliest != noDue {
		next = time.Unix(0, earliest).UTC()
	}
	return ids, next, nil
}

// correct moves timeline entries to the instants found, unless something may have
// become due earlier meanwhile; the next scan corrects them then.
func (s Timeline) correct(late map[uint64]int64, changes uint64) error {
	return s.update(func(t *tx) error {
		if s.scans.now() != changes {
			return nil
		}
		for n, due := range late {
			rec, err := t.record(n)
			if err != nil {
				return err
			}
			if rec == nil || !rec.state.Active() || rec.due >= due {
				continue
			}
			if err := t.schedule(n, rec, due); err != nil {
				return err
			}
		}
		return nil
	})
}

// schedule moves the sending's entry and writes the record.
func (t *tx) schedule(n uint64, rec *record, due int64) error {
	timeline := t.Bucket(bucketTimeline)
	if rec.due != offTimeline && rec.due != due {
		if err := timeline.Delete(keyTimeline(rec.due, n)); err != nil {
			return err
		}
	}
	if due != offTimeline && rec.due != due {
		if err := timeline.Put(keyTimeline(due, n), nil); err != nil {
			return err
		}
	}
	rec.due = due
	return t.putRecord(n, rec)
}

func (t *tx) unschedule(n uint64, rec *record) error { return t.schedule(n, rec, offTimeline) }

// reschedule sets the entry to the exact instant, after a change of state, of slices,
// or of messages back to Pending.
func (t *tx) reschedule(n uint64, rec *record) error {
	t.forget(n)
	if !rec.state.Active() {
		return t.unschedule(n, rec)
	}
	due, _, err := t.nextDue(n, rec, 0, false)
	if err != nil {
		return err
	}
	if due, err = t.beforeExpiry(n, due); err != nil {
		return err
	}
	return t.schedule(n, rec, max(due, 0))
}

// beforeExpiry returns due, or the earliest time at which the sending may expire if that is before:
// messages that wait longer for a retry expire at their time.
func (t *tx) beforeExpiry(n uint64, due int64) (int64, error) {
	if due <= 0 || due == noDue {
		return due, nil
	}
	head, err := t.header(n)
	if err != nil {
		return 0, err
	}
	list, err := slots.Of(t.Tx, n)
	if err != nil {
		return 0, err
	}
	if at, _ := plan.Expiry(head, slots.Plain(list), nil); !at.IsZero() {
		due = min(due, at.UnixNano())
	}
	return due, nil
}

// lower moves the entry to an earlier instant. It writes the record only if the entry moves.
func (t *tx) lower(n uint64, rec *record, due int64) error {
	if !rec.state.Active() {
		return nil
	}
	t.forget(n)
	if due = max(due, 0); due >= rec.due {
		return nil
	}
	due, err := t.beforeExpiry(n, due)
	if err != nil {
		return err
	}
	return t.schedule(n, rec, due)
}

func (t *tx) forget(n uint64) {
	t.s.scans.forget(n)
	t.After(func() { t.s.scans.forget(n) })
}

// nextDue returns the first instant at which the sending has something to do: 0 if its
// counters balance, noDue if it only waits for messages in flight. after is the first
// instant after limit at which it may have more. remembered uses and updates the
// remembered scan.
func (t *tx) nextDue(n uint64, rec *record, limit int64, remembered bool) (due, after int64, err error) {
	b, err := t.counters(n)
	if err != nil {
		return 0, 0, err
	}
	if b.counts.Final() == rec.planned {
		return 0, noDue, nil
	}
	due, after = noDue, noDue
	prefix := db.Key8(n)
	c := t.Bucket(bucketRetries).Cursor()
	if k, _ := c.Seek(prefix); len(k) == 21 && bytes.HasPrefix(k, prefix) {
		due = int64(binary.BigEndian.Uint64(k[8:]))
		if k, _ := c.Seek(binary.BigEndian.AppendUint64(db.Key8(n), uint64(limit)+1)); len(k) == 21 && bytes.HasPrefix(k, prefix) {
			after = int64(binary.BigEndian.Uint64(k[8:]))
		}
	}
	if b.counts[campaign.Pending] == 0 {
		return due, after, nil
	}
	list, err := slots.Of(t.Tx, n)
	if err != nil {
		return 0, 0, err
	}
	from, changes := scan{}, uint64(0)
	if remembered {
		from, changes = t.s.scans.of(n)
	}
	scanner := sliceScanner{t: t, n: n, rec: rec, base: b.base}
	through := true // no message that can become due was found so far
	for i := from.slice; i < len(list); i++ {
		one, first := &list[i], uint32(0)
		start := one.Start.UnixNano()
		if start > limit && one.Rows > 0 {
			after = min(after, start)
		}
		if start >= due {
			if start > limit {
				break
			}
			continue
		}
		if i == from.slice {
			first = from.row
		}
		open, waiting, err := scanner.slice(one, first)
		if err != nil {
			return 0, 0, err
		}
		if open < one.Rows && through && remembered {
			through = false
			t.s.scans.remember(n, scan{i, open}, changes)
		}
		if waiting {
			due = start
		}
	}
	return due, after, nil
}

// sliceScanner finds Pending messages in slices.
type sliceScanner struct {
	t    *tx
	n    uint64
	rec  *record
	base campaign.Outcome
}

// slice scans a slice from its row first on. open is the first row with a Pending
// message, one.Rows if there is none. waiting reports whether some recipient's next
// message is Pending, with none before it in flight or Retrying.
func (s *sliceScanner) slice(one *slots.Slice, first uint32) (open uint32, waiting bool, err error) {
	open = one.Rows
	for span, err := range s.t.spans(s.n, s.rec, one, one.First+first) {
		if err != nil {
			return 0, false, err
		}
		if span.statuses == nil {
			if s.base == campaign.Pending {
				return min(open, span.first-one.First), true, nil
			}
			continue
		}
		for row := span.first; row < span.end; row++ {
			pending, next := pendingIn(span.row(row))
			if pending {
				open = min(open, row-one.First)
			}
			if next {
				return open, true, nil
			}
		}
	}
	return open, false, nil
}

// pendingIn reports whether any of a recipient's messages is Pending, and whether that
// one is to be sent next.
func pendingIn(statuses []byte) (pending, next bool) {
	switch first, o := campaign.FirstOpen(statuses); {
	case first < 0:
		return false, false
	case o == campaign.Pending:
		return true, true
	default:
		return slices.ContainsFunc(statuses[first:], func(m byte) bool { return campaign.MessageStatus(m).Outcome() == campaign.Pending }), false
	}
}
