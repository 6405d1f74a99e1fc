package plan

import (
	"fmt"
	"math/bits"
	"time"

	"campaignd/internal/display"
)

// slotRoom holds the room of a stretch of slots, in recipients.
type slotRoom struct {
	first  int64    // number of the first slot: T's
	slots  []uint32 // recipients per slot, 0 if it is full or closed
	whole  uint32   // room of T's slot if none of its time had passed
	closed bool     // a sending window is closed at some time from T to the end of T's slot
}

// check returns an error for an invalid grid or number of messages.
func (g Grid) check(messages int) error {
	if g.Slot < time.Second || messages < 1 {
		return fmt.Errorf("plan slots of %s for %d messages per recipient: both must be positive", g.Slot, messages)
	}
	if uint64(messages) > uint64(g.Capacity) {
		return fmt.Errorf("%w: the campaign has %s, a slot of this application holds %s", ErrTooManyMessages, display.Amount(messages, "message"), display.Number(g.Capacity))
	}
	return nil
}

// room reads the slots from the one that contains t to the last one that starts before until.
func (g Grid) room(b Reservations, t, until time.Time, messages int) (slotRoom, error) {
	r := slotRoom{first: g.Number(t)}
	end := g.firstSlotFrom(until)
	if end <= r.first { // until has passed
		return r, nil
	}
	r.slots = make([]uint32, end-r.first)
	if err := b.Reserved(r.first, r.slots); err != nil {
		return slotRoom{}, fmt.Errorf("count reserved messages: %w", err)
	}
	reserved := r.slots[0]
	g.convert(r.first, t, r.slots, messages)
	// T's slot offers room in proportion to its remaining time, rounded down in
	// messages before it is divided among recipients.
	r.whole = r.slots[0]
	r.closed = !g.Windows.OpenThrough(t, g.Start(r.first+1))
	if left := g.Start(r.first + 1).Sub(t); r.whole > 0 && left < g.Slot {
		hi, lo := bits.Mul64(uint64(g.Capacity-reserved), uint64(left))
		share, _ := bits.Div64(hi, lo, uint64(g.Slot))
		r.slots[0] = uint32(share / uint64(messages))
	}
	return r, nil
}

// convert replaces the reserved messages of the slots first, first+1, … by the
// recipients that still fit, for whole slots. The first slot must be open from t on.
func (g Grid) convert(first int64, t time.Time, slots []uint32, messages int) {
	capacity, each := g.Capacity, uint32(messages)
	for i, reserved := range slots {
		// Reservations may exceed the capacity after an operator has lowered it.
		slots[i] = (capacity - min(reserved, capacity)) / each
	}
	closed := 0 // the slots before it are done
	for start, end := range g.Windows.Intervals(t, g.Start(first+int64(len(slots)))) {
		opened := 0
		if start.After(t) {
			opened = int(g.firstSlotFrom(start) - first)
		}
		clear(slots[closed:max(closed, opened)])
		closed = max(closed, int(g.Number(end)-first))
	}
	clear(slots[closed:])
}

// sumRoom adds up the room of slots and stops at most.
func sumRoom(slots []uint32, most uint32) uint32 {
	var total uint64
	for _, n := range slots {
		if total += uint64(n); total >= uint64(most) {
			return most
		}
	}
	return uint32(total)
}
