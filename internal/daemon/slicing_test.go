package daemon

import (
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestConditionsShareOneGrid is docs/slicing.md as a story: four sendings on one grid.
func TestConditionsShareOneGrid(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes), func(w *world) {
		w.up()
		w.take("full", 60, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.take("later", 100, "scheduleAt", at(12, 20), "slicingCondition", "immediateConsecutiveSlots")
		w.take("fragmented", 250, "scheduleAt", at(12, 0))
		w.take("deferred", 250, "scheduleAt", at(12, 0), "slicingCondition", "deferredConsecutiveSlots")
		w.take("immediate", 250, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")

		w.want("fragmented takes every slot with room", planned(w.report("fragmented")),
			map[string]int{"12:00:00": 40, "12:10:00": 100, "12:30:00": 100, "12:40:00": 10})
		w.want("deferred takes the earliest run", planned(w.report("deferred")),
			map[string]int{"12:40:00": 90, "12:50:00": 100, "13:00:00": 60})
		w.state("immediate", campaign.StateCanceled)

		w.until(at(14, 0))
		for _, name := range []string{"full", "later", "fragmented", "deferred"} {
			w.state(name, campaign.StateCompleted)
			w.want(name+" goes as planned", slotted(w.of(name), 10*time.Minute), planned(w.report(name)))
		}
		w.laws(map[int64]int{1: 100}, map[int64]time.Duration{1: 10 * time.Minute})
	})
}
