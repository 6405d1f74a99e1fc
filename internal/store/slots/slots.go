package slots

import (
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
	"campaignd/internal/store/db"
)

// Reservations returns an application's reservations on a grid with that slot length, for
// planning that reserves nothing (campaignd check). Each call reads in its own transaction.
func (s Slots) Reservations(application int64, slot time.Duration) plan.Reservations {
	return &readReservations{s, application, slot}
}

type readReservations struct {
	s           Slots
	application int64
	slot        time.Duration
}

// Reserved implements plan.Reservations. If the counts are on another grid, it computes
// them from the slices, as the next reservation will.
func (r *readReservations) Reserved(first int64, counts []uint32) error {
	return r.s.db.View(func(t *db.Tx) error {
		table, err := In(t, r.s.owner, r.application, r.slot)
		if err != nil {
			return err
		}
		if at := Grid(t, r.application); at == r.slot || at == 0 {
			return table.Reserved(first, counts)
		}
		clear(counts)
		from := now()
		return eachReserved(t, r.s.owner, r.application, from, func(_ uint64, list []Slice) error {
			for i := range list {
				if !list[i].End.After(from) {
					continue
				}
				_ = table.spread(&list[i], int64(list[i].Reserved), func(slot, n int64) error {
					if at := slot - first; at >= 0 && at < int64(len(counts)) {
						counts[at] += uint32(n)
					}
					return nil
				})
			}
			return nil
		})
	})
}

// Reserved returns the messages reserved in n slots of an application from slot number first on.
func (s Slots) Reserved(application int64, slot time.Duration, first int64, n int) ([]uint32, error) {
	counts := make([]uint32, n)
	return counts, s.Reservations(application, slot).Reserved(first, counts)
}

// Share holds the messages that a sending has reserved in a slot.
type Share struct {
	Sending  campaign.ID
	Slot     int64
	Messages uint32
}

// SendingsInSlots returns the sendings that have reserved any of n slots from number first
// on, ordered by sending, then by slot.
func (s Slots) SendingsInSlots(application int64, slot time.Duration, first int64, n int) ([]Share, error) {
	var out []Share
	err := s.db.View(func(t *db.Tx) error {
		table, err := In(t, s.owner, application, slot)
		if err != nil {
			return err
		}
		from := plan.Grid{Slot: slot}.Start(first)
		return eachReserved(t, s.owner, application, from, func(number uint64, list []Slice) error {
			head, err := s.header(t, number)
			if err != nil {
				return err
			}
			held := make(map[int64]uint32)
			for i := range list {
				_ = table.spread(&list[i], int64(list[i].Reserved), func(slot, n int64) error {
					held[slot] += uint32(n)
					return nil
				})
			}
			for at := first; at < first+int64(n); at++ {
				if held[at] > 0 {
					out = append(out, Share{Sending: head.ID, Slot: at, Messages: held[at]})
				}
			}
			return nil
		})
	})
	return out, err
}
