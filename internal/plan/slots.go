// Package plan places sendings into slots (docs/contract.md 7). It is pure: no clock,
// no disk, no goroutine. It works on message counts per slot, never on single
// recipients, so that a plan costs one step per slot whatever the sending's size.
//
// The package doesn't reserve anything. The store calls Place with its own
// Reservations inside the transaction that reserves the placements, so that two
// sendings never hold the same capacity.
//
// Errors are *NoRoom when a sending doesn't fit as a whole, ErrTooManyMessages when
// a slot can't hold one recipient, and the errors of its Reservations.
// docs/decisions/0010 to 0017 explain the rules, docs/slicing.md draws them.
package plan

import (
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// Horizon limits planning: only slots that start before T + Horizon are used (docs/contract.md 7).
const Horizon = 48 * time.Hour

// Grid describes an application's slots: fixed intervals aligned to the Unix epoch,
// each with a capacity in messages shared by all its sendings. Slot number n is
// the interval [n*Slot, (n+1)*Slot) since the epoch.
type Grid struct {
	Slot     time.Duration     // at least a second, whole seconds
	Capacity uint32            // messages per slot
	Windows  *calendar.Windows // nil: always open
}

// Number returns the number of the slot that contains at.
func (g Grid) Number(at time.Time) int64 {
	n, s := at.UnixNano(), int64(g.Slot)
	q := n / s
	if n%s < 0 {
		q--
	}
	return q
}

// Start returns the instant at which slot n begins.
func (g Grid) Start(n int64) time.Time { return time.Unix(0, n*int64(g.Slot)).UTC() }

// firstSlotFrom returns the first slot that starts at or after at.
func (g Grid) firstSlotFrom(at time.Time) int64 { return g.Number(at.Add(-1)) + 1 }

// Request asks for places from T on for Recipients with Messages messages each.
type Request struct {
	T          time.Time
	Until      time.Time // only slots that start earlier are used; T + Horizon unless a sending is planned again
	Condition  campaign.Condition
	Recipients uint32
	Messages   int // per recipient, 1 to 5
	// Latest is the last T that Advise may propose. Zero means campaign.MonthsAhead (UTC) after T.
	Latest time.Time
}

// Placement is a sending's share of one slot.
type Placement struct {
	Slot       int64
	Start, End time.Time // Start is T in the slot that holds T
	Recipients uint32
}
