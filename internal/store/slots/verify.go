package slots

import (
	"encoding/binary"

	"campaignd/internal/store/db"
)

// Verify recounts the reservations in slots that aren't over. It passes what is wrong to report, whose error ends it.
func Verify(t *db.Tx, owner Owner, report func(format string, args ...any) error) error {
	at := now()
	type place struct{ application, slot int64 }
	want := map[place]int64{}
	err := eachReserved(t, owner, 0, at, func(n uint64, list []Slice) error {
		application, _ := owner(t, n)
		table := &Table{slot: Grid(t, application)}
		if table.slot == 0 {
			return report("sending number %d: it has reserved slots of application %d, which has no grid", n, application)
		}
		for i := range list {
			_ = table.spread(&list[i], int64(list[i].Reserved), func(slot, n int64) error {
				want[place{application, slot}] += n
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.Bucket(bucketSlots).ForEach(func(k, value []byte) error {
		counts, err := decodePage(value)
		if err != nil || len(k) != 16 {
			return report("slot counts: %v", err)
		}
		application, first := db.Unsigned(binary.BigEndian.Uint64(k)), db.Unsigned(binary.BigEndian.Uint64(k[8:]))*pageSlots
		grid := Grid(t, application)
		for i, have := range counts {
			slot := first + int64(i)
			// The current slot is skipped: slices that ended within it are no longer listed.
			if grid > 0 && slot <= floorDiv(now().UnixNano(), int64(grid)) {
				continue
			}
			if want[place{application, slot}] != int64(have) {
				if err := report("application %d, slot %d: reserved messages: %d, by the slices: %d",
					application, slot, have, want[place{application, slot}]); err != nil {
					return err
				}
			}
			delete(want, place{application, slot})
		}
		return nil
	}); err != nil {
		return err
	}
	for at, n := range want {
		if slot := Grid(t, at.application); at.slot > floorDiv(now().UnixNano(), int64(slot)) && n > 0 {
			return report("application %d, slot %d: reserved messages: 0, by the slices: %d", at.application, at.slot, n)
		}
	}
	return nil
}
