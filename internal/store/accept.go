package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/plan"
	"campaignd/internal/store/db"
	"campaignd/internal/store/slots"
)

// Terms are the conditions of an acceptance.
type Terms struct {
	// DuplicateWindow starts when a drop is accepted. Until its end the same drop is a duplicate; 0 disables the check.
	DuplicateWindow time.Duration
	// Resend allows the same drop again.
	Resend bool
	// Grid is the application's slot grid; nil leaves the sending unsliced, due at ScheduledAt.
	Grid *plan.Grid
	// Place assigns slots to head.Rows.Accepted recipients. Accept calls it at most
	// once, inside the transaction, so it must not call the store. Its error rolls
	// everything back and is returned unchanged.
	Place func(plan.Reservations) ([]plan.Placement, error)
}

// Accept makes a checked sending a scheduled one, in one transaction: it looks for an
// earlier drop with the same Digest (*DuplicateDrop), checks that every row is stored,
// reserves slots, and stores header, slices, counters and timeline. head replaces the
// stored header. Accept sets State, AcceptedAt (now, if zero), Sliced, and Messages and
// Planned where they are 0. A dry run reserves nothing and is completed at once; its
// slices are stored for the report.
func (s Acceptance) Accept(head *campaign.Sending, terms Terms) ([]campaign.Slice, error) {
	var list []slots.Slice
	saved := *head
	err := s.update(func(t *tx) error {
		n, err := t.checking(head.ID)
		if err != nil {
			return err
		}
		if head.AcceptedAt.IsZero() {
			head.AcceptedAt = now()
		}
		if err := t.refuseDuplicate(head, terms); err != nil {
			return err
		}
		if err := fillLayout(head); err != nil {
			return err
		}
		if err := t.countRows(n, head); err != nil {
			return err
		}
		if list, err = t.place(head, terms); err != nil {
			return err
		}
		if err := slots.Put(t.Tx, n, list); err != nil {
			return err
		}
		failpoint.At(failpoint.SlotsBooked)
		rec := &record{id: head.ID, state: campaign.StateChecking, due: offTimeline}
		rec.setLayout(head)
		b := &counters{}
		before, err := t.header(n)
		if err != nil {
			return err
		}
		head.State, head.Reason, head.FinishedAt = campaign.StateScheduled, "", time.Time{}
		if before.HoldAs != "" { // the store was restored while it was being checked
			head.State, head.Reason = campaign.StateHeld, before.HoldAs
		}
		if head.DryRun {
			head.State, head.FinishedAt = campaign.StateCompleted, now()
		} else {
			b.counts[campaign.Pending] = head.Planned
			if err := t.putDigest(n, head); err != nil {
				return err
			}
		}
		if err := t.putCounters(n, b); err != nil {
			return err
		}
		return t.putHeader(n, head, campaign.StateChecking, rec)
	})
	if err != nil {
		*head = saved
		return nil, err
	}
	return slots.Plain(list), nil
}

// fillLayout fills in and checks the header fields that decide the layout of statuses and counters.
func fillLayout(head *campaign.Sending) error {
	most, least := 0, campaign.MaxMessages
	for _, channel := range head.Channels {
		n := len(campaign.ContentsFor(head.Contents, channel))
		most, least = max(most, n), min(least, n)
	}
	if head.Messages == 0 {
		head.Messages = most
	}
	all := uint64(head.Rows.Accepted) * uint64(most)
	if head.Planned == 0 && most == least {
		head.Planned = all
	}
	switch {
	case len(head.Channels) == 0 || least == 0 || most > campaign.MaxMessages || len(head.Channels) > 255:
		return fmt.Errorf("%w: %d channels with %d to %d messages a recipient", slots.ErrLayout, len(head.Channels), least, most)
	case head.Messages != most:
		return fmt.Errorf("%w: %d messages a recipient, its contents make %d", slots.ErrLayout, head.Messages, most)
	case head.Rows.Accepted == 0:
		return fmt.Errorf("%w: no recipient", slots.ErrLayout)
	case head.Planned > all || head.Planned < uint64(head.Rows.Accepted)*uint64(least):
		return fmt.Errorf("%w: %d messages planned for %d recipients", slots.ErrLayout, head.Planned, head.Rows.Accepted)
	case head.ScheduledAt.IsZero():
		return fmt.Errorf("%w: it has no time", slots.ErrLayout)
	}
	return nil
}

// countRows checks that every row is stored before anything is promised.
func (t *tx) countRows(n uint64, head *campaign.Sending) error {
	rows, want := uint32(0), head.Rows.Accepted
	for k, v := range t.Prefixed(bucketChunks, db.Key8(n)) {
		have, err := chunkRows(v)
		if err != nil {
			return err
		}
		if len(k) != 12 || binary.BigEndian.Uint32(k[8:]) != rows/campaign.ChunkRows || rows%campaign.ChunkRows != 0 {
			return fmt.Errorf("%w: chunk %d is missing or short", slots.ErrLayout, rows/campaign.ChunkRows)
		}
		rows += uint32(have)
	}
	if rows != want {
		return fmt.Errorf("%w: %d rows stored, %d accepted", slots.ErrLayout, rows, want)
	}
	return nil
}

// place makes the slices of a sending and reserves their slots.
func (t *tx) place(head *campaign.Sending, terms Terms) ([]slots.Slice, error) {
	head.Sliced = terms.Grid != nil && terms.Place != nil
	all := head.Rows.Accepted
	if !head.Sliced {
		return []slots.Slice{{Slice: campaign.Slice{Start: head.ScheduledAt.UTC(), Rows: all, Recipients: all}}}, nil
	}
	table, err := slots.In(t.Tx, ownerOf, head.ApplicationID, terms.Grid.Slot)
	if err != nil {
		return nil, err
	}
	placements, err := terms.Place(table)
	if err != nil {
		return nil, err
	}
	var list []slots.Slice
	first := uint32(0)
	for _, p := range placements {
		if p.Recipients == 0 || p.Recipients > all-first {
			return nil, fmt.Errorf("%w: slots for more than %d recipients", slots.ErrLayout, all)
		}
		one := slots.Slice{Slice: campaign.Slice{Start: p.Start.UTC(), End: p.End.UTC(), First: first, Rows: p.Recipients, Recipients: p.Recipients}}
		first += p.Recipients
		if !head.DryRun {
			if err := table.Reserve(&one, p.Slot, terms.Grid.Capacity, head.Messages); err != nil {
				return nil, err
			}
		}
		list = append(list, one)
	}
	if first != all {
		return nil, fmt.Errorf("%w: slots for %d of %d recipients", slots.ErrLayout, first, all)
	}
	return list, table.Close()
}

// refuseDuplicate looks for an earlier acceptance of the same drop (docs/contract.md 2).
func (t *tx) refuseDuplicate(head *campaign.Sending, terms Terms) error {
	if head.Digest == "" || terms.Resend {
		return nil
	}
	earlier, err := t.acceptedWithin(head.Digest, head.AcceptedAt, terms.DuplicateWindow)
	if err != nil || earlier == "" {
		return err
	}
	return &DuplicateDrop{Earlier: earlier}
}

// Earlier returns the sending that makes a drop with this digest a duplicate at an
// instant, or "": the latest one accepted less than window before.
func (s Acceptance) Earlier(digest string, at time.Time, window time.Duration) (id campaign.ID, err error) {
	err = s.view(func(t *tx) error {
		id, err = t.acceptedWithin(digest, at, window)
		return err
	})
	return id, err
}

func (t *tx) acceptedWithin(digest string, at time.Time, window time.Duration) (campaign.ID, error) {
	number, accepted, err := t.latestAcceptance(digest)
	if err != nil || number == 0 || window <= 0 || at.Sub(accepted) >= window {
		return "", err
	}
	before, err := t.header(number)
	if err != nil {
		return "", err
	}
	return before.ID, nil
}

// digestEntry is the length of one acceptance in a value of digests: number and time.
const digestEntry = 16

// latestAcceptance returns the latest acceptance of the digest that still counts, or 0.
// A canceled sending doesn't count if it is certain that none of its messages reached anyone.
func (t *tx) latestAcceptance(digest string) (uint64, time.Time, error) {
	key, err := digestKey(digest)
	if err != nil {
		return 0, time.Time{}, err
	}
	for value := t.Bucket(bucketDigests).Get(key); len(value) >= digestEntry; value = value[digestEntry:] {
		n := binary.BigEndian.Uint64(value)
		head := t.Bucket(bucketSendings).Get(db.Key8(n))
		if len(head) < headerFixed {
			continue // removed by retention
		}
		b, err := t.counters(n)
		if err != nil {
			return 0, time.Time{}, err
		}
		if state, _ := stateOf(head[1]); state == campaign.StateCanceled && b.reachedNobody() {
			continue
		}
		return n, time.Unix(0, int64(binary.BigEndian.Uint64(value[8:]))).UTC(), nil
	}
	return 0, time.Time{}, nil
}

// putDigest stores an acceptance in front of the one that counted so far, which counts
// again if the new one is canceled.
func (t *tx) putDigest(n uint64, head *campaign.Sending) error {
	if head.Digest == "" {
		return nil
	}
	key, err := digestKey(head.Digest)
	if err != nil {
		return err
	}
	value := binary.BigEndian.AppendUint64(nil, n)
	value = binary.BigEndian.AppendUint64(value, uint64(head.AcceptedAt.UnixNano()))
	before, at, err := t.latestAcceptance(head.Digest)
	if err != nil {
		return err
	}
	if before != 0 {
		value = binary.BigEndian.AppendUint64(value, before)
		value = binary.BigEndian.AppendUint64(value, uint64(at.UnixNano()))
	}
	return t.Bucket(bucketDigests).Put(key, value)
}

func digestKey(digest string) ([]byte, error) {
	key, err := hex.DecodeString(digest)
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%w: the digest is no SHA-256 in hex", slots.ErrLayout)
	}
	return key, nil
}

// Refuse ends a sending that was being checked. A rejected one loses its rows and keeps
// its refusals; a canceled one keeps its rows, and every message counts as Canceled. head
// replaces the stored header, with its problems and counts.
func (s Acceptance) Refuse(head *campaign.Sending, state campaign.State, reason string) error {
	if state != campaign.StateRejected && state != campaign.StateCanceled {
		return fmt.Errorf("refuse %s as %s: %w", head.ID, state, ErrState)
	}
	return s.update(func(t *tx) error {
		n, err := t.checking(head.ID)
		if err != nil {
			return err
		}
		rec := &record{id: head.ID, state: campaign.StateChecking, due: offTimeline}
		if state == campaign.StateRejected {
			if _, err := t.DeletePrefixed(bucketChunks, db.Key8(n), math.MaxInt); err != nil {
				return err
			}
			head.Planned = 0
		} else if head.Rows.Accepted > 0 {
			if err := errors.Join(fillLayout(head), t.countRows(n, head)); err != nil {
				return err
			}
			rec.setLayout(head)
			b := &counters{base: campaign.Canceled}
			b.counts[campaign.Canceled] = head.Planned
			if err := t.putCounters(n, b); err != nil {
				return err
			}
		}
		head.State, head.Reason, head.FinishedAt = state, reason, now()
		return t.putHeader(n, head, campaign.StateChecking, rec)
	})
}
