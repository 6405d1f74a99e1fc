package plan

import (
	"fmt"
	"math/bits"
	"time"
)

// room is how many recipients each slot of a stretch holds.
type slotRoom struct {
	first  int64    // number of the first slot: T's
	slots  []uint32 // recipients a slot, 0 where it is full or closed
	whole  uint32   // what T's slot would hold if all its time were left
	closed bool     // T's slot isn't wholly (from T) inside the windows
}

// check refuses a request or a grid that has no meaning.
func (g Grid) check(messages int) error {
	if g.Slot < time.Second || messages < 1 {
		return fmt.Errorf("plan slots of %s for %d messages a recipient: both must be positive", g.Slot, messages)
	}
	if uint64(messages) > uint64(g.Capacity) {
		return fmt.Errorf("%w: the campaign has %d messages, a slot of this application holds %d", ErrTooManyMessages, messages, g.Capacity)
	}
	return nil
}

// room reads the slots from the one that holds t to the last that starts before until.
func (g Grid) room(b Reservations, t, until time.Time, messages int) (slotRoom, error) {
	r := slotRoom{first: g.Number(t)}
	end := g.firstSlotFrom(until)
	if end <= r.first { // until has come
		return r, nil
	}
	r.slots = make([]uint32, end-r.first)
	if err := b.Reserved(r.first, r.slots); err != nil {
		return slotRoom{}, fmt.Errorf("count reserved messages: %w", err)
	}
	reserved := r.slots[0]
	g.convert(r.first, t, r.slots, messages)
	// Of T's slot only the share of its time that is left counts, rounded down
	// in messages before it is divided among recipients.
	r.whole = r.slots[0]
	r.closed = !g.Windows.OpenThrough(t, g.Start(r.first+1))
	if left := g.Start(r.first + 1).Sub(t); r.whole > 0 && left < g.Slot {
		hi, lo := bits.Mul64(uint64(g.Capacity-reserved), uint64(left))
		share, _ := bits.Div64(hi, lo, uint64(g.Slot))
		r.slots[0] = uint32(share / uint64(messages))
	}
	return r, nil
}

// convert turns the messages reserved in the slots first, first+1, … into the
// recipients they hold at full length. t is from when on the first must be open.
func (g Grid) convert(first int64, t time.Time, slots []uint32, messages int) {
	capacity, each := g.Capacity, uint32(messages)
	for i, reserved := range slots {
		// More may be reserved than the capacity, once an operator has lowered it.
		slots[i] = (capacity - min(reserved, capacity)) / each
	}
	shut := 0 // slots before it are settled
	for start, end := range g.Windows.Intervals(t, g.Start(first+int64(len(slots)))) {
		opened := 0
		if start.After(t) {
			opened = int(g.firstSlotFrom(start) - first)
		}
		clear(slots[shut:max(shut, opened)])
		shut = max(shut, int(g.Number(end)-first))
	}
	clear(slots[shut:])
}

// sum is the recipients that slots hold, as far as it matters: it stops beyond most.
func sumRoom(slots []uint32, most uint32) uint32 {
	var total uint64
	for _, n := range slots {
		if total += uint64(n); total >= uint64(most) {
			return most
		}
	}
	return uint32(total)
}
