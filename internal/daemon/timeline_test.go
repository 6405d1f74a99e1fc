package daemon

import (
	"testing"

	"campaignd/internal/campaign"
)

// TestTimelineSaysWhoHoldsWhat: the shares of a slot add up to its reservations.
func TestTimelineSaysWhoHoldsWhat(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("first", 60, "scheduleAt", at(12, 0))
		w.accept("second", 90, "scheduleAt", at(12, 0))
		w.accept("third", 100, "scheduleAt", at(12, 10), "slicingCondition", "deferredConsecutiveSlots")
		line, err := w.running.Timeline(t.Context(), 1, 0)
		w.check(err)
		want := map[string]map[campaign.ID]uint32{
			"12:00:00": {w.id("first"): 60, w.id("second"): 40},
			"12:10:00": {w.id("second"): 50, w.id("third"): 50},
			"12:20:00": {w.id("third"): 50},
		}
		for _, slot := range line.Applications[0].Slots {
			sum := uint32(0)
			for _, share := range slot.Shares {
				if want[clock(slot.Start)][share.ID] != share.Messages {
					t.Errorf("%s: %s holds %d, want %d", clock(slot.Start), share.ID, share.Messages, want[clock(slot.Start)][share.ID])
				}
				delete(want[clock(slot.Start)], share.ID)
				sum += share.Messages
			}
			if sum != slot.Reserved {
				t.Errorf("%s: the shares add up to %d of %d", clock(slot.Start), sum, slot.Reserved)
			}
		}
		for slot, left := range want {
			if len(left) > 0 {
				t.Errorf("%s: %v hold nothing", slot, left)
			}
		}
		booked, err := w.running.Reserved(t.Context(), 1, at(12, 0), at(13, 0))
		w.check(err)
		switch n := len(booked.Slots); {
		case n != 3:
			t.Errorf("n = %v, want 3", n)
		case booked.Slots[0].Reserved != 100:
			t.Errorf("booked.Slots[0].Reserved = %v, want 100", booked.Slots[0].Reserved)
		}
	})
}
