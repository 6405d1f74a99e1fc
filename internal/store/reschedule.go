package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/slots"
)

// ErrBegun is returned when a sending can't get another time: an attempt of it was made, some of
// its messages have outcomes, or it has ended.
var ErrBegun = errors.New("it has begun")

// Reschedule gives a sending that has not begun another time (docs/contract.md 10). One
// transaction frees the slots that it reserved, reserves others by terms.Grid and terms.Place,
// and moves it on the timeline; after an error nothing has changed. The sending keeps its state.
// Reservations that terms.Place sees no longer hold its former ones. ErrBegun comes for a
// sending of which anything went out, and for one that isn't accepted yet.
func (s *Store) Reschedule(id campaign.ID, at time.Time, terms Terms) ([]campaign.Slice, error) {
	var list []slots.Slice
	err := s.update(func(t *tx) error {
		n, head, err := t.byID(id)
		if err != nil {
			return err
		}
		rec, err := t.record(n)
		if err != nil {
			return err
		}
		if err := t.notBegun(n, head, rec); err != nil {
			return err
		}
		if err := slots.FreeAll(t.Tx, ownerOf, n, head.ApplicationID); err != nil {
			return err
		}
		head.ScheduledAt, head.Blocked = at.UTC(), 0
		if list, err = t.place(head, terms); err != nil {
			return err
		}
		if err := slots.Put(t.Tx, n, list); err != nil {
			return err
		}
		if err := t.putHeader(n, head, head.State, rec); err != nil {
			return err
		}
		return t.reschedule(n, rec)
	})
	if err != nil {
		return nil, fmt.Errorf("reschedule %s: %w", id, err)
	}
	return slots.Plain(list), nil
}

// notBegun returns an error unless every message of the sending still waits for its first attempt.
func (t *tx) notBegun(n uint64, head *campaign.Sending, rec *record) error {
	waits := []campaign.State{campaign.StateScheduled, campaign.StatePaused, campaign.StateHeld}
	if rec == nil || !slices.Contains(waits, head.State) || !head.StartedAt.IsZero() || rec.finalizedAs != campaign.Pending {
		return ErrBegun
	}
	b, err := t.counters(n)
	if err == nil && b.counts[campaign.Pending] != rec.planned {
		err = ErrBegun
	}
	return err
}
