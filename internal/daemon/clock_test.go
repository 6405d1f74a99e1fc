package daemon

import (
	"testing"
	"time"
)

// once fails the test unless every row of the drop was sent exactly once.
func (w *harness) once(name string, n int) {
	w.t.Helper()
	seen := map[string]int{}
	for _, s := range w.sentBy(name) {
		seen[s.key]++
	}
	for key, times := range seen {
		if times > 1 {
			w.t.Errorf("%s was sent %d times", key, times)
		}
	}
	if len(seen) != n {
		w.t.Errorf("%d of %d were sent", len(seen), n)
	}
}

// TestClockJumpsForth: after a jump of an hour, the slots in it count as missed.
func TestClockJumpsForth(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes)+shop(2, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("sliced", 250, "scheduleAt", at(12, 0))
		w.accept("plain", 10, "scheduleAt", at(12, 30), "applicationId", 2, "campaignId", 1)
		w.accept("later", 10, "scheduleAt", at(14, 0), "applicationId", 2, "campaignId", 1)
		w.until(at(12, 2).Add(time.Second))
		w.setClock(time.Hour)
		w.wait(2 * time.Second)
		if n := len(w.sentBy("sliced")); n > 22 {
			t.Errorf("%d are sent right after the jump, 21 were before it: a burst", n)
		}
		w.once("plain", 10) // its time has come
		w.until(at(15, 0))
		w.sentOf("sliced", 250, 0)
		w.once("sliced", 250)
		w.sentOf("later", 10, 0)
		w.checkTenMinutes()
	})
}

// TestClockJumpsBack: after a jump of an hour, nothing is sent early by the clock or twice.
func TestClockJumpsBack(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes)+shop(2, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("sliced", 250, "scheduleAt", at(12, 0))
		w.accept("plain", 10, "scheduleAt", at(12, 30), "applicationId", 2, "campaignId", 1)
		w.until(at(12, 2).Add(time.Second))
		w.setClock(-time.Hour)
		w.until(at(11, 59))
		if n := len(w.sentBy("sliced")); n != 21 {
			t.Errorf("%d are sent by 11:59, 21 were before the jump", n)
		}
		w.until(at(13, 0))
		w.sentOf("sliced", 250, 0)
		w.once("sliced", 250)
		w.sentOf("plain", 10, 0)
		w.once("plain", 10)
		w.want("as planned", sentBySlot(w.sentBy("sliced"), 10*time.Minute), map[string]int{"12:00:00": 100, "12:10:00": 100, "12:20:00": 50})
		w.checkTenMinutes()
	})
}

// TestClockJumpsForthAndBack: messages postponed in between are sent at their new time.
func TestClockJumpsForthAndBack(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("sliced", 250, "scheduleAt", at(12, 0))
		w.until(at(12, 1))
		w.setClock(time.Hour)
		w.wait(30 * time.Second)
		w.setClock(-time.Hour)
		w.until(at(14, 0))
		w.sentOf("sliced", 250, 0)
		w.once("sliced", 250)
		w.checkTenMinutes()
	})
}

// TestClockIsStepped: NTP sets the clock a little, often.
func TestClockIsStepped(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1m", capacity = 20`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("sliced", 200, "scheduleAt", at(12, 0))
		w.until(at(11, 59))
		for i := range 200 {
			w.setClock(time.Duration(1-i%2*2) * time.Duration(i%7) * 90 * time.Millisecond)
			w.wait(7 * time.Second)
		}
		w.sentOf("sliced", 200, 0)
		w.once("sliced", 200)
		w.checkInvariants(map[int64]int{1: 20}, map[int64]time.Duration{1: time.Minute})
	})
}

// TestSuspendPlansMissedSlotsAgain: while a machine is suspended, timers stop but the wall clock
// doesn't (golang/go#24595). The daemon sees a jump forward, here of two days.
func TestSuspendPlansMissedSlotsAgain(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes)+shop(2, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.start()
		w.accept("sliced", 250, "scheduleAt", at(12, 0))
		w.accept("plain", 10, "scheduleAt", at(12, 30), "applicationId", 2, "campaignId", 1)
		w.accept("next", 10, "scheduleAt", at(60, 0), "applicationId", 2, "campaignId", 1)
		w.until(at(12, 2).Add(time.Second))
		w.setClock(47*time.Hour + 40*time.Minute)
		w.wait(time.Minute)
		w.until(at(61, 0))
		// 21 in T's slot; then, two days on, the share of the slot of 11:40 that is left, and that of 11:50.
		w.sentOf("sliced", 21+79+100, 50)
		w.sentOf("plain", 0, 10)
		w.sentOf("next", 10, 0)
		w.checkTenMinutes()
	})
}
