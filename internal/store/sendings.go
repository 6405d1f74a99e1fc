package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/slots"
	"campaignd/internal/store/tables"
)

// A header's value: format, state, 1 if filed, application (8 bytes), then JSON. The bytes
// before the JSON let a list be filtered without decoding it.
const (
	headerFormat = 1
	headerFixed  = 11
)

func encodeHeader(s *campaign.Sending) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode header of %s: %w", s.ID, err)
	}
	b := make([]byte, 0, headerFixed+len(text))
	b = append(b, headerFormat, stateCode(s.State), 0)
	if s.Filed {
		b[2] = 1
	}
	b = binary.BigEndian.AppendUint64(b, db.Signed(s.ApplicationID))
	return append(b, text...), nil
}

func decodeHeader(value []byte) (*campaign.Sending, error) {
	if len(value) < headerFixed || value[0] != headerFormat {
		return nil, fmt.Errorf("decode header: %w: %w", ErrDamaged, codec.ErrMalformed)
	}
	s := &campaign.Sending{}
	if err := json.Unmarshal(value[headerFixed:], s); err != nil {
		return nil, fmt.Errorf("decode header: %w: %w", ErrDamaged, err)
	}
	return s, nil
}

// header returns the header with that number.
func (t *tx) header(n uint64) (*campaign.Sending, error) {
	value := t.Bucket(bucketSendings).Get(db.Key8(n))
	if value == nil {
		return nil, fmt.Errorf("sending number %d: %w", n, ErrNotFound)
	}
	return decodeHeader(value)
}

// headerOrNil returns the header with that number, nil if there is none.
func headerOrNil(t *db.Tx, n uint64) (*campaign.Sending, error) {
	head, err := (&tx{Tx: t}).header(n)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return head, err
}

// ownerOf implements slots.Owner, without reading the header's JSON.
func ownerOf(t *db.Tx, n uint64) (application int64, state campaign.State) {
	value := t.Bucket(bucketSendings).Get(db.Key8(n))
	if len(value) < headerFixed {
		return 0, ""
	}
	state, _ = stateOf(value[1])
	return db.Unsigned(binary.BigEndian.Uint64(value[3:])), state
}

// byID returns the header of id; ErrNotFound also if only the number matches.
func (t *tx) byID(id campaign.ID) (uint64, *campaign.Sending, error) {
	n := id.Number()
	head, err := t.header(n)
	if err != nil {
		return 0, nil, err
	}
	if head.ID != id {
		return 0, nil, fmt.Errorf("sending %q: %w", id, ErrNotFound)
	}
	return n, head, nil
}

// record returns the record of an unfiled sending, nil if it is filed or unknown.
func (t *tx) record(n uint64) (*record, error) {
	value := t.Bucket(bucketActive).Get(db.Key8(n))
	if value == nil {
		return nil, nil
	}
	return decodeRecord(value)
}

func (t *tx) putRecord(n uint64, rec *record) error {
	return t.Bucket(bucketActive).Put(db.Key8(n), rec.encode())
}

// eachActive calls fn with the record of every unfiled sending, oldest first. fn must not write.
func (t *tx) eachActive(fn func(n uint64, rec *record) error) error {
	return t.Bucket(bucketActive).ForEach(func(k, v []byte) error {
		rec, err := decodeRecord(v)
		if err != nil {
			return err
		}
		return fn(binary.BigEndian.Uint64(k), rec)
	})
}

// changeActive changes the unfiled sendings whose records are wanted; see change.
func (t *tx) changeActive(wanted func(*record) bool, fn func(*campaign.Sending, *record) error) error {
	var all []uint64
	err := t.eachActive(func(n uint64, rec *record) error {
		if wanted(rec) {
			all = append(all, n)
		}
		return nil
	})
	for i := 0; i < len(all) && err == nil; i++ {
		err = t.change(all[i], fn)
	}
	return err
}

// change reads a sending's header and record, lets fn alter both, and writes them with
// everything that depends on them: the record's state, the timeline, the state counts.
// The record is nil for a filed sending.
func (t *tx) change(n uint64, fn func(*campaign.Sending, *record) error) error {
	head, err := t.header(n)
	if err != nil {
		return err
	}
	rec, err := t.record(n)
	if err != nil {
		return err
	}
	id, tag, before := head.ID, head.Tag, head.State
	if err := fn(head, rec); err != nil {
		return err
	}
	if head.ID != id || head.Tag != tag {
		return fmt.Errorf("change %s: its id and tag are fixed", id)
	}
	if head.State != before && !before.CanBecome(head.State) {
		return fmt.Errorf("change %s from %s to %s: %w", id, before, head.State, ErrState)
	}
	if head.State != before {
		head.StoppedAt = time.Time{}
		if head.State.Stopped() {
			head.StoppedAt = now()
		}
	}
	if paused := head.State == campaign.StatePaused; paused != (before == campaign.StatePaused) {
		head.SetBlocked(paused, now())
	}
	return t.putHeader(n, head, before, rec)
}

// putHeader writes head and everything that depends on it; before is its previous state.
func (t *tx) putHeader(n uint64, head *campaign.Sending, before campaign.State, rec *record) error {
	if head.State.Final() && head.FinishedAt.IsZero() {
		done, err := t.balanced(n, rec)
		if err != nil {
			return err
		}
		if done {
			head.FinishedAt = now()
			if err := t.s.resolveUnknown(t.Tx, n); err != nil {
				return err
			}
		}
	}
	value, err := encodeHeader(head)
	if err != nil {
		return err
	}
	if err := t.Ascending(bucketSendings).Put(db.Key8(n), value); err != nil {
		return err
	}
	if head.State != before {
		if err := t.countState(before, head.State); err != nil {
			return err
		}
	}
	if head.Filed && !head.FinishedAt.IsZero() {
		if rec == nil {
			return nil
		}
		if err := t.unschedule(n, rec); err != nil {
			return err
		}
		return t.Bucket(bucketActive).Delete(db.Key8(n))
	}
	if rec == nil {
		rec = &record{id: head.ID, due: offTimeline}
		if head.Messages > 0 {
			rec.setLayout(head)
		}
	}
	moved := rec.state != head.State
	rec.state = head.State
	if moved {
		return t.reschedule(n, rec) // writes the record too
	}
	return t.putRecord(n, rec)
}

// balanced reports whether every planned message has its final outcome.
func (t *tx) balanced(n uint64, rec *record) (bool, error) {
	if rec == nil || rec.messages == 0 || rec.state == campaign.StateChecking {
		return true, nil // nothing was planned
	}
	b, err := t.counters(n)
	if err != nil {
		return false, err
	}
	return b.counts.Final() == rec.planned, nil
}

// countState updates the number of sendings in each state.
func (t *tx) countState(from, to campaign.State) error {
	meta := t.Bucket(db.Meta)
	all := make([]byte, 8*stateCount)
	copy(all, meta.Get(metaStates))
	add := func(state campaign.State, by uint64) {
		at := all[8*int(stateCode(state)):]
		binary.BigEndian.PutUint64(at, binary.BigEndian.Uint64(at)+by)
	}
	if from != "" {
		add(from, ^uint64(0))
	}
	if to != "" {
		add(to, 1)
	}
	return meta.Put(metaStates, all)
}

// Update changes a sending's header in one transaction. fn gets the current header and
// must not call the store; its error leaves everything unchanged and is returned. An
// illegal change of State is ErrState. A state that becomes final gets its FinishedAt, if
// fn sets none and every message has its final outcome.
func (s *Store) Update(id campaign.ID, fn func(*campaign.Sending) error) error {
	return s.update(func(t *tx) error {
		n, _, err := t.byID(id)
		if err != nil {
			return err
		}
		return t.change(n, func(head *campaign.Sending, _ *record) error { return fn(head) })
	})
}

// Header returns a sending's header; ErrNotFound if there is none.
func (s *Store) Header(id campaign.ID) (head *campaign.Sending, err error) {
	err = s.view(func(t *tx) error {
		_, head, err = t.byID(id)
		return err
	})
	return head, err
}

// Load returns a sending's header, its slices in order of time and its counts.
func (s *Store) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	var head *campaign.Sending
	var list []slots.Slice
	var b counters
	err := s.view(func(t *tx) error {
		n, h, err := t.byID(id)
		if err != nil {
			return err
		}
		head = h
		if err := inbound.SetReceipts(t.Tx, n, head); err != nil {
			return err
		}
		if list, err = slots.Of(t.Tx, n); err != nil {
			return err
		}
		b, err = t.counters(n)
		return err
	})
	if err != nil {
		return nil, nil, campaign.Counts{}, err
	}
	return head, slots.Plain(list), b.counts, nil
}

// Filter selects sendings. The zero value selects all.
type Filter struct {
	States      []campaign.State // none: any
	Application int64            // 0: any
	Limit       int              // most to return; 0: no limit
	Before      campaign.ID      // only sendings with a smaller number; "": from the newest
}

// unfinished reports whether f selects only states whose sendings are in the bucket active.
func (f *Filter) unfinished() bool {
	return len(f.States) > 0 && !slices.ContainsFunc(f.States, campaign.State.Final)
}

// Sendings returns the headers that f selects, newest first. Its cost grows with the number
// of unfinished sendings if f selects only such, else with the number of all stored ones.
func (s *Store) Sendings(f Filter) ([]*campaign.Sending, error) {
	before := ^uint64(0)
	if f.Before != "" {
		if before = f.Before.Number(); before == 0 {
			return nil, fmt.Errorf("sending %q: %w", f.Before, ErrNotFound)
		}
	}
	var out []*campaign.Sending
	err := s.view(func(t *tx) error {
		keys := t.Bucket(bucketSendings)
		if f.unfinished() {
			keys = t.Bucket(bucketActive)
		}
		c := keys.Cursor()
		k, _ := c.Seek(db.Key8(before))
		if k == nil {
			k, _ = c.Last()
		} else {
			k, _ = c.Prev()
		}
		for ; k != nil && (f.Limit <= 0 || len(out) < f.Limit); k, _ = c.Prev() {
			n := binary.BigEndian.Uint64(k)
			application, state := ownerOf(t.Tx, n)
			if state == "" {
				return fmt.Errorf("list sendings: %w: %w", ErrDamaged, codec.ErrMalformed)
			}
			if len(f.States) > 0 && !slices.Contains(f.States, state) || f.Application != 0 && application != f.Application {
				continue
			}
			head, err := t.header(n)
			if err != nil {
				return err
			}
			out = append(out, head)
		}
		return nil
	})
	return out, err
}

// Unfiled yields, oldest first, the sendings that a start must resume: checking, or final
// and not Filed. Each is read in its own short transaction.
func (s *Store) Unfiled() iter.Seq2[*campaign.Sending, error] {
	return func(yield func(*campaign.Sending, error) bool) {
		for after := uint64(0); ; {
			var head *campaign.Sending
			err := s.view(func(t *tx) error {
				c := t.Bucket(bucketActive).Cursor()
				for k, v := c.Seek(db.Key8(after + 1)); k != nil; k, v = c.Next() {
					rec, err := decodeRecord(v)
					if err != nil {
						return err
					}
					after = binary.BigEndian.Uint64(k)
					if rec.state == campaign.StateChecking || rec.state.Final() {
						head, err = t.header(after)
						return err
					}
				}
				return nil
			})
			if head == nil && err == nil || !yield(head, err) || err != nil {
				return
			}
		}
	}
}

// Filed records that the sending's folder is in done/ or failed/, and in the same transaction, if
// notify is true, that its end is to be announced (Notices).
func (s *Store) Filed(id campaign.ID, notify bool) error {
	return s.update(func(t *tx) error {
		n, _, err := t.byID(id)
		if err != nil {
			return err
		}
		err = t.change(n, func(head *campaign.Sending, _ *record) error {
			if !head.State.Final() {
				return fmt.Errorf("file %s, which is %s: %w", id, head.State, ErrState)
			}
			head.Filed = true
			return nil
		})
		if err != nil || !notify {
			return err
		}
		return tables.PutNotice(t.Tx, &Notice{Sending: id, Due: now()})
	})
}
