package daemon

import (
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestConditionsShareOneGrid is docs/slicing.md as a story: four sendings on one grid.
func TestConditionsShareOneGrid(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *world) {
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
		w.tens()
	})
}

// TestFirstSlotCountsInPart: of the slot that holds T only the share of its time that is left has room.
func TestFirstSlotCountsInPart(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *world) {
		w.up()
		w.take("part", 50, "scheduleAt", at(12, 7))
		w.take("beside", 50, "scheduleAt", at(12, 7), "slicingCondition", "immediateConsecutiveSlots")
		// 49 s before the next slot 8.1 of 100 are left, but 30 + 21 are taken.
		w.take("late", 10, "scheduleAt", at(12, 9).Add(11*time.Second), "slicingCondition", "immediateConsecutiveSlots")
		// With 1 s left not one fits, so the run begins at the next slot.
		w.take("over", 10, "scheduleAt", at(12, 9).Add(59*time.Second+999*time.Millisecond), "slicingCondition", "immediateConsecutiveSlots")
		w.want("30% of the slot", planned(w.report("part")), map[string]int{"12:07:00": 30, "12:10:00": 20})
		w.want("30% of what is free", planned(w.report("beside")), map[string]int{"12:07:00": 21, "12:10:00": 29})
		w.want("what is free, in proportion", planned(w.report("late")), map[string]int{"12:09:11": 4, "12:10:00": 6})
		w.want("the time is nearly over", planned(w.report("over")), map[string]int{"12:10:00": 10})
		w.until(at(13, 0))
		gaps(t, w.of("part")[:30], 6*time.Second)
		w.tens()
	})
}

// gaps fails the test unless the messages go out that far from each other.
func gaps(t *testing.T, list []sent, want time.Duration) {
	t.Helper()
	for i := 1; i < len(list); i++ {
		if gap := list[i].at.Sub(list[i-1].at); gap < want-50*time.Millisecond || gap > want+50*time.Millisecond {
			t.Errorf("message %d goes %s after the one before it, want %s", i, gap, want)
		}
	}
}

// TestHorizon: slots that start before T + 48 h count.
func TestHorizon(t *testing.T) {
	story(t, at(9, 0), shop(1, "", `enabled = true, slot = "10m", capacity = 2`)+shop(2, "", `enabled = true, slot = "10m", capacity = 2`), func(t *testing.T, w *world) {
		w.up()
		w.take("more", 577, "scheduleAt", at(12, 0)) // 288 slots of 2
		w.take("most", 576, "scheduleAt", at(12, 0))
		// From the middle of a slot on there are half a slot and 288 more.
		w.take("half", 577, "scheduleAt", at(12, 5), "applicationId", 2, "campaignId", 1)
		w.take("halfMore", 2, "scheduleAt", at(12, 5), "applicationId", 2, "campaignId", 1)
		w.state("more", campaign.StateCanceled)
		w.state("halfMore", campaign.StateCanceled)
		for name, want := range map[string]string{"most": "+2 11:50:00", "half": "+2 12:00:00"} {
			list := w.report(name).Slices
			if got := clock(list[len(list)-1].Start); got != want {
				t.Errorf("the last slot of %s begins at %s, want %s", name, got, want)
			}
		}
	})
}

// TestMessagesStayInOneSlot: a slot holds whole recipients, and what is left over is for others.
func TestMessagesStayInOneSlot(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes)+shop(2, "", `enabled = true, slot = "10m", capacity = 4`), func(t *testing.T, w *world) {
		w.up()
		w.take("three", 50, "scheduleAt", at(12, 0), "campaignId", 3)
		w.take("one", 3, "scheduleAt", at(12, 0))
		w.take("five", 1, "applicationId", 2, "campaignId", 5)
		w.want("33 of 3 messages", planned(w.report("three")), map[string]int{"12:00:00": 33, "12:10:00": 17})
		w.want("the rest of a slot", planned(w.report("one")), map[string]int{"12:00:00": 1, "12:10:00": 2})
		w.state("five", campaign.StateRejected)
		w.until(at(13, 0))
		slotOf := map[string]time.Time{}
		for i, s := range w.of("three") {
			slot := s.wall.Truncate(10 * time.Minute)
			if first, ok := slotOf[s.contact]; ok && !first.Equal(slot) {
				t.Errorf("message %d of a recipient goes in the slot of %s, its first in that of %s", s.number, slot, first)
			}
			slotOf[s.contact] = slot
			if s.number != i%3+1 {
				t.Errorf("message %d comes as number %d of its recipient", s.number, i%3+1)
			}
		}
		w.tens()
	})
}

// TestActivation: fewer recipients than activation_recipients use no slot.
func TestActivation(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes+", activation_recipients = 50"), func(t *testing.T, w *world) {
		w.up()
		w.take("few", 49, "scheduleAt", at(12, 0))
		w.take("many", 50, "scheduleAt", at(12, 0))
		w.until(at(12, 0).Add(time.Second))
		if few, many := len(w.of("few")), len(w.of("many")); few != 49 || many != 1 {
			t.Errorf("a second after T %d of 49 and %d of 50 are sent, want all and 1", few, many)
		}
		w.want("many fills a slot", planned(w.report("many")), map[string]int{"12:00:00": 50})
		w.until(at(12, 11))
		w.state("few", campaign.StateCompleted)
		w.state("many", campaign.StateCompleted)
	})
}

// TestNoRoomIsAdvised: the report of a canceled sending says what would have fitted, and that fits.
func TestNoRoomIsAdvised(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *world) {
		w.up()
		w.take("full", 100, "scheduleAt", at(12, 10))
		w.take("none", 150, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.state("none", campaign.StateCanceled)
		text := w.text("none")
		for _, say := range []string{"150 recipients", "room for 100", "fragmentedSlots or deferredConsecutiveSlots", "2026-03-04T12:20:00Z"} {
			if !strings.Contains(text, say) {
				t.Errorf("the report doesn't say %q:\n%s", say, text)
			}
		}
		if got := w.report("none").Messages; got.Canceled != 150 || got.Sent != 0 {
			t.Errorf("%+v, want 150 canceled", got)
		}
		w.take("advised", 150, "scheduleAt", "2026-03-04T12:20:00Z", "slicingCondition", "immediateConsecutiveSlots")
		w.take("other", 150, "scheduleAt", at(12, 0), "slicingCondition", "deferredConsecutiveSlots")
		w.state("advised", campaign.StateScheduled)
		w.want("deferred comes behind it", planned(w.report("other")), map[string]int{"12:30:00": 50, "12:40:00": 100})
	})
}

// TestCancelFreesCapacity at once, of what is not yet sent, and a later drop gets it.
func TestCancelFreesCapacity(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *world) {
		w.up()
		w.take("first", 300, "scheduleAt", at(12, 0))
		w.take("second", 250, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.state("second", campaign.StateCanceled)
		w.until(at(12, 5).Add(time.Second))
		w.steer("first", w.running.send.Cancel)
		w.pass(10 * time.Second)
		w.state("first", campaign.StateCanceled)
		if n := len(w.of("first")); n != 51 {
			t.Errorf("%d were sent in half a slot, want 51", n)
		}
		reserved, err := w.running.store.Reserved(1, 10*time.Minute, at(12, 0).Unix()/600, 3)
		w.check(err)
		if reserved[0] != 51 || reserved[1] != 0 || reserved[2] != 0 {
			t.Errorf("after the cancel %v are reserved, want the 51 that were sent", reserved)
		}
		w.take("third", 200, "scheduleAt", at(12, 10), "slicingCondition", "immediateConsecutiveSlots")
		w.state("third", campaign.StateScheduled)
		w.until(at(13, 0))
		w.want("the later drop has the room", slotted(w.of("third"), 10*time.Minute), map[string]int{"12:10:00": 100, "12:20:00": 100})
		w.tens()
	})
}

// TestDryRunBooksNothing.
func TestDryRunBooksNothing(t *testing.T) {
	story(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *world) {
		w.up()
		w.take("trial", 250, "scheduleAt", at(12, 0), "dryRun", true)
		w.take("real", 250, "scheduleAt", at(12, 0))
		same := map[string]int{"12:00:00": 100, "12:10:00": 100, "12:20:00": 50}
		w.want("the trial's slices", planned(w.report("trial")), same)
		w.want("the real one's", planned(w.report("real")), same)
		w.until(at(13, 0))
		if n := len(w.of("trial")); n != 0 {
			t.Errorf("%d messages of a dry run were sent", n)
		}
	})
}
