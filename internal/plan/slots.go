// Package plan places sendings into slots (SPEC 7). It is pure: no clock, no
// disk, no goroutine. It works on counts of messages a slot, never on
// recipients, so that a plan costs a step a slot whatever the sending's size.
//
// What it does not do: it doesn't book. The store calls Place with its own
// Bookings inside the transaction that books what Place returns, so that two
// sendings never hold the same capacity.
//
// It fails with *NoRoom when a sending doesn't fit as a whole, with
// ErrTooManyMessages when a slot can't hold one recipient, and otherwise only
// as its Bookings do. The decisions behind it are docs/decisions/0010 to 0017,
// with pictures in docs/slicing.md.
package plan

import (
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// Horizon is how far ahead of T slots count (SPEC 7): those that start before T + Horizon.
const Horizon = 48 * time.Hour

// Grid is an application's slots: fixed intervals aligned to the Unix epoch,
// each with a capacity in messages shared by all its sendings. Slot number n is
// the interval [n*Slot, (n+1)*Slot) since the epoch.
type Grid struct {
	Slot     time.Duration     // at least a second, whole seconds
	Capacity uint32            // messages a slot
	Windows  *calendar.Windows // nil: always open
}

// Number is the slot that holds at.
func (g Grid) Number(at time.Time) int64 {
	n, s := at.UnixNano(), int64(g.Slot)
	q := n / s
	if n%s < 0 {
		q--
	}
	return q
}

// Start is the instant at which slot n begins.
func (g Grid) Start(n int64) time.Time { return time.Unix(0, n*int64(g.Slot)).UTC() }

// from is the first slot that starts at or after at.
func (g Grid) firstSlotFrom(at time.Time) int64 { return g.Number(at.Add(-1)) + 1 }

// Request is what is to be placed: Recipients of Messages messages each, from T on.
type Request struct {
	T          time.Time
	Until      time.Time // slots that start before it count; T + Horizon unless a sending is sliced again
	Condition  campaign.Condition
	Recipients uint32
	Messages   int // a recipient, 1 to 5
	// Latest is the last T that Advise may name; zero for 3 calendar months (UTC) after T.
	Latest time.Time
}

// Placement is a sending's share of one slot.
type Placement struct {
	Slot       int64
	Start, End time.Time // Start is T in the slot that holds T
	Recipients uint32
}
