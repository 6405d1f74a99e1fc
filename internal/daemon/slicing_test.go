package daemon

import (
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestConditionsShareOneGrid is the example of docs/slicing.md: four sendings on one grid.
func TestConditionsShareOneGrid(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("full", 60, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.accept("later", 100, "scheduleAt", at(12, 20), "slicingCondition", "immediateConsecutiveSlots")
		w.accept("fragmented", 250, "scheduleAt", at(12, 0))
		w.accept("deferred", 250, "scheduleAt", at(12, 0), "slicingCondition", "deferredConsecutiveSlots")
		w.accept("immediate", 250, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")

		w.want("fragmented takes every slot with room", plannedBySlot(w.report("fragmented")),
			map[string]int{"12:00:00": 40, "12:10:00": 100, "12:30:00": 100, "12:40:00": 10})
		w.want("deferred takes the earliest run", plannedBySlot(w.report("deferred")),
			map[string]int{"12:40:00": 90, "12:50:00": 100, "13:00:00": 60})
		w.state("immediate", campaign.StateCanceled)

		w.until(at(14, 0))
		for _, name := range []string{"full", "later", "fragmented", "deferred"} {
			w.state(name, campaign.StateCompleted)
			w.want(name+" goes as planned", sentBySlot(w.sentBy(name), 10*time.Minute), plannedBySlot(w.report(name)))
		}
		w.checkTenMinutes()
	})
}

// TestFirstSlotCountsInPart: the slot that contains T has room for its remaining time only.
func TestFirstSlotCountsInPart(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("part", 50, "scheduleAt", at(12, 7))
		w.accept("beside", 50, "scheduleAt", at(12, 7), "slicingCondition", "immediateConsecutiveSlots")
		// 49 s before the next slot 8.1 of 100 are left, but 30 + 21 are taken.
		w.accept("late", 10, "scheduleAt", at(12, 9).Add(11*time.Second), "slicingCondition", "immediateConsecutiveSlots")
		// With 1 s left not one fits, so the run begins at the next slot.
		w.accept("over", 10, "scheduleAt", at(12, 9).Add(59*time.Second+999*time.Millisecond), "slicingCondition", "immediateConsecutiveSlots")
		w.want("30% of the slot", plannedBySlot(w.report("part")), map[string]int{"12:07:00": 30, "12:10:00": 20})
		w.want("30% of what is free", plannedBySlot(w.report("beside")), map[string]int{"12:07:00": 21, "12:10:00": 29})
		w.want("what is free, in proportion", plannedBySlot(w.report("late")), map[string]int{"12:09:11": 4, "12:10:00": 6})
		w.want("the time is nearly over", plannedBySlot(w.report("over")), map[string]int{"12:10:00": 10})
		w.until(at(13, 0))
		checkGaps(t, w.sentBy("part")[:30], 6*time.Second)
		w.checkTenMinutes()
	})
}

// checkGaps fails the test unless the messages are sent that far apart.
func checkGaps(t *testing.T, list []sent, want time.Duration) {
	t.Helper()
	for i := 1; i < len(list); i++ {
		if gap := list[i].at.Sub(list[i-1].at); gap < want-50*time.Millisecond || gap > want+50*time.Millisecond {
			t.Errorf("message %d goes %s after the one before it, want %s", i, gap, want)
		}
	}
}

// TestHorizon: slots that start before T + 48 h count.
func TestHorizon(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "10m", capacity = 2`)+shop(2, "", `enabled = true, slot = "10m", capacity = 2`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("more", 577, "scheduleAt", at(12, 0)) // 288 slots of 2
		w.accept("most", 576, "scheduleAt", at(12, 0))
		// From the middle of a slot on there are half a slot and 288 more.
		w.accept("half", 577, "scheduleAt", at(12, 5), "applicationId", 2, "campaignId", 1)
		w.accept("halfMore", 2, "scheduleAt", at(12, 5), "applicationId", 2, "campaignId", 1)
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

// TestMessagesStayInOneSlot: a slot holds whole recipients; its remaining room is for others.
func TestMessagesStayInOneSlot(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes)+shop(2, "", `enabled = true, slot = "10m", capacity = 4`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("three", 50, "scheduleAt", at(12, 0), "campaignId", 3)
		w.accept("one", 3, "scheduleAt", at(12, 0))
		w.accept("five", 1, "applicationId", 2, "campaignId", 5)
		w.want("33 of 3 messages", plannedBySlot(w.report("three")), map[string]int{"12:00:00": 33, "12:10:00": 17})
		w.want("the rest of a slot", plannedBySlot(w.report("one")), map[string]int{"12:00:00": 1, "12:10:00": 2})
		w.state("five", campaign.StateRejected)
		w.until(at(13, 0))
		slotOf := map[string]time.Time{}
		for i, s := range w.sentBy("three") {
			slot := s.wall.Truncate(10 * time.Minute)
			if first, ok := slotOf[s.contact]; ok && !first.Equal(slot) {
				t.Errorf("message %d of a recipient goes in the slot of %s, its first in that of %s", s.number, slot, first)
			}
			slotOf[s.contact] = slot
			if s.number != i%3+1 {
				t.Errorf("message %d comes as number %d of its recipient", s.number, i%3+1)
			}
		}
		w.checkTenMinutes()
	})
}

// TestActivation: fewer recipients than activation_recipients use no slot.
func TestActivation(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes+", activation_recipients = 50"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("few", 49, "scheduleAt", at(12, 0))
		w.accept("many", 50, "scheduleAt", at(12, 0))
		w.until(at(12, 0).Add(time.Second))
		if few, many := len(w.sentBy("few")), len(w.sentBy("many")); few != 49 || many != 1 {
			t.Errorf("a second after T %d of 49 and %d of 50 are sent, want all and 1", few, many)
		}
		w.want("many fills a slot", plannedBySlot(w.report("many")), map[string]int{"12:00:00": 50})
		w.until(at(12, 11))
		w.state("few", campaign.StateCompleted)
		w.state("many", campaign.StateCompleted)
	})
}

// TestNoRoomIsAdvised: the report of a canceled sending says what would have fitted, and that does fit.
func TestNoRoomIsAdvised(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("full", 100, "scheduleAt", at(12, 10))
		w.accept("none", 150, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
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
		w.accept("advised", 150, "scheduleAt", "2026-03-04T12:20:00Z", "slicingCondition", "immediateConsecutiveSlots")
		w.accept("other", 150, "scheduleAt", at(12, 0), "slicingCondition", "deferredConsecutiveSlots")
		w.state("advised", campaign.StateScheduled)
		w.want("deferred comes behind it", plannedBySlot(w.report("other")), map[string]int{"12:30:00": 50, "12:40:00": 100})
	})
}

// TestCancelFreesCapacity: a cancel frees the capacity of unsent messages immediately for later drops.
func TestCancelFreesCapacity(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("first", 300, "scheduleAt", at(12, 0))
		w.accept("second", 250, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.state("second", campaign.StateCanceled)
		w.until(at(12, 5).Add(time.Second))
		w.control("first", w.running.send.Cancel)
		w.wait(10 * time.Second)
		w.state("first", campaign.StateCanceled)
		if n := len(w.sentBy("first")); n != 51 {
			t.Errorf("%d were sent in half a slot, want 51", n)
		}
		reserved, err := w.running.store.Reserved(1, 10*time.Minute, at(12, 0).Unix()/600, 3)
		w.check(err)
		w.want("reserved after the cancel", reserved, []uint32{51, 0, 0})
		w.accept("third", 200, "scheduleAt", at(12, 10), "slicingCondition", "immediateConsecutiveSlots")
		w.state("third", campaign.StateScheduled)
		w.until(at(13, 0))
		w.want("the later drop has the room", sentBySlot(w.sentBy("third"), 10*time.Minute), map[string]int{"12:10:00": 100, "12:20:00": 100})
		w.checkTenMinutes()
	})
}

// TestDryRunBooksNothing: a dry run reserves no slots.
func TestDryRunBooksNothing(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("trial", 250, "scheduleAt", at(12, 0), "dryRun", true)
		w.accept("real", 250, "scheduleAt", at(12, 0))
		same := map[string]int{"12:00:00": 100, "12:10:00": 100, "12:20:00": 50}
		w.want("the trial's slices", plannedBySlot(w.report("trial")), same)
		w.want("the real one's", plannedBySlot(w.report("real")), same)
		w.until(at(13, 0))
		if n := len(w.sentBy("trial")); n != 0 {
			t.Errorf("%d messages of a dry run were sent", n)
		}
	})
}
