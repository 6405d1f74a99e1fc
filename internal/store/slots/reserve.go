package slots

import (
	"errors"
	"fmt"

	"campaignd/internal/plan"
	"campaignd/internal/store/db"
)

// ErrLayout is returned when slices, reservations or rows contradict the sending.
var ErrLayout = errors.New("the sending's numbers don't agree")

// Reserve reserves a new slice's slot, and fails if the slot lacks room.
func (b *Table) Reserve(one *Slice, slot int64, capacity uint32, messages int) error {
	want := uint64(one.Recipients) * uint64(messages)
	if grid := (plan.Grid{Slot: b.slot}); grid.Number(one.Start) != slot || !one.End.Equal(grid.Start(slot+1)) {
		return fmt.Errorf("%w: a slice from %s to %s in slot %d", ErrLayout, one.Start, one.End, slot)
	}
	var have [1]uint32
	if err := b.Reserved(slot, have[:]); err != nil {
		return err
	}
	if want+uint64(have[0]) > uint64(capacity) {
		return fmt.Errorf("%w: %d messages more in slot %d, which holds %d of %d", ErrLayout, want, slot, have[0], capacity)
	}
	one.Reserved = uint32(want)
	return b.take(one, int64(want))
}

// FreeUnsent releases what the sending has reserved in future slots, and in the current
// slots the messages that freed counts, by the slice's index in the list.
func FreeUnsent(t *db.Tx, owner Owner, n uint64, application int64, freed map[int]int64) error {
	slot := Grid(t, application)
	if slot == 0 {
		return nil
	}
	list, err := Of(t, n)
	if err != nil {
		return err
	}
	table, err := In(t, owner, application, slot)
	if err != nil {
		return err
	}
	at, changed := now(), false
	for i := range list {
		one := &list[i]
		give := min(freed[i], int64(one.Reserved))
		if one.Start.After(at) {
			give = int64(one.Reserved)
		}
		if give == 0 {
			continue
		}
		if err := table.SetReserved(one, one.Reserved-uint32(give)); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return nil
	}
	return errors.Join(Put(t, n, list), table.Close())
}

// SetReserved changes the reservation of a slice.
func (b *Table) SetReserved(one *Slice, to uint32) error {
	if err := b.release(one, int64(one.Reserved)); err != nil {
		return err
	}
	one.Reserved = to
	return b.take(one, int64(to))
}

// FreeAll releases everything that the sending has reserved, in slots that have begun as well.
func FreeAll(t *db.Tx, owner Owner, n uint64, application int64) error {
	list, err := Of(t, n)
	if err != nil {
		return err
	}
	all := map[int]int64{}
	for i := range list {
		all[i] = int64(list[i].Reserved)
	}
	return FreeUnsent(t, owner, n, application, all)
}
