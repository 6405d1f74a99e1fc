package daemon

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// TestSevenInAMinute: seven messages are sent about 8.6 s apart, not in bursts.
func TestSevenInAMinute(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1m", capacity = 7`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("seven", 21, "scheduleAt", at(12, 0))
		w.until(at(12, 4))
		w.sentOf("seven", 21, 0)
		checkGaps(t, w.sentBy("seven"), time.Minute/7)
		w.checkInvariants(map[int64]int{1: 7}, map[int64]time.Duration{1: time.Minute})
	})
}

// TestSecondSlots: slots of a second are paced evenly too.
func TestSecondSlots(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1s", capacity = 4`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("quick", 400, "scheduleAt", at(12, 0))
		w.until(at(12, 2))
		w.sentOf("quick", 400, 0)
		checkGaps(t, w.sentBy("quick"), 250*time.Millisecond)
		w.checkInvariants(map[int64]int{1: 4}, map[int64]time.Duration{1: time.Second})
	})
}

// TestDenseSlotsLoseNothing: with a thousand a second and every slot full, each message is sent in its
// own slot: messages due in a slot's last moments aren't postponed.
func TestDenseSlotsLoseNothing(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1s", capacity = 1000`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("dense", 10_000, "scheduleAt", at(12, 0))
		before := plannedBySlot(w.report("dense"))
		w.until(at(12, 0).Add(20 * time.Second))
		w.sentOf("dense", 10_000, 0)
		w.want("sent as planned", sentBySlot(w.sentBy("dense"), time.Second), before)
		w.checkInvariants(map[int64]int{1: 1000}, map[int64]time.Duration{1: time.Second})
	})
}

// TestHeldUntilTheSlotsPassed: messages returned by a held channel are planned again like
// the rest of their slot, even if all of the slot was in flight.
func TestHeldUntilTheSlotsPassed(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1m", capacity = 30, pacing = "burst"`)+"concurrency = 64\n", func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			if w.now().Before(at(12, 20)) {
				return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "the token is revoked"}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("held", 30, "scheduleAt", at(12, 0))
		w.until(at(12, 40))
		w.sentOf("held", 30, 0)
		tried := w.sentBy("held")
		first := map[string]int{}
		for _, s := range tried {
			if s.verdict == send.VerdictSent {
				first[clock(s.wall.Truncate(time.Minute))]++
			}
		}
		for slot, n := range first {
			if n > 30 {
				t.Errorf("%d in the slot of %s, which holds 30", n, slot)
			}
		}
		reserved, err := w.running.store.Reserved(1, time.Minute, at(12, 0).Unix()/60, 40)
		w.check(err)
		for i, n := range reserved {
			if sent := first[clock(at(12, i))]; int(n) < sent {
				t.Errorf("%d are sent in slot %d, want the %d reserved", sent, i, n)
			}
		}
	})
}

// TestBurst: a slot's messages are sent at its start, in T's slot at T.
func TestBurst(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes+`, pacing = "burst"`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("burst", 250, "scheduleAt", at(12, 5))
		w.until(at(12, 40))
		for _, s := range w.sentBy("burst") {
			start := s.wall.Truncate(10 * time.Minute)
			if start.Equal(at(12, 0)) {
				start = at(12, 5)
			}
			if late := s.wall.Sub(start); late > time.Second {
				t.Errorf("sent %s after its slot's start", late)
			}
		}
		w.want("slots", sentBySlot(w.sentBy("burst"), 10*time.Minute), map[string]int{"12:00:00": 50, "12:10:00": 100, "12:20:00": 100})
		w.checkTenMinutes()
	})
}

// TestTenNeverWaitBehindAMillion uses 40,000, which keep the channel busy for minutes.
func TestTenNeverWaitBehindAMillion(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = false`)+"rate = 100\nconcurrency = 4\n", func(t *testing.T, w *harness) {
		w.start()
		w.accept("many", 40_000, "scheduleAt", at(12, 0))
		w.accept("ten", 10, "scheduleAt", at(12, 1))
		w.until(at(12, 2))
		if n := len(w.sentBy("many")); n < 11_000 {
			t.Errorf("%d of many are sent in two minutes at 100 a second", n)
		}
		ten := w.sentBy("ten")
		if len(ten) != 10 {
			t.Fatalf("%d of ten are sent", len(ten))
		}
		if late := ten[9].wall.Sub(at(12, 1)); late > time.Second {
			t.Errorf("the last of ten waited %s", late)
		}
	})
}

// TestSlotsAreSharedFairly: scheduling is fair within slots too.
func TestSlotsAreSharedFairly(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "10m", capacity = 700`)+"rate = 1\n", func(t *testing.T, w *harness) {
		w.start()
		w.accept("many", 690, "scheduleAt", at(12, 0))
		w.accept("ten", 10, "scheduleAt", at(12, 0)) // the channel is too slow for both
		w.until(at(12, 10))
		if n := len(w.sentBy("ten")); n != 10 {
			t.Errorf("%d of ten were sent in their slot", n)
		}
		w.until(at(13, 0))
		w.sentOf("many", 690, 0)
		w.checkInvariants(map[int64]int{1: 700}, map[int64]time.Duration{1: 10 * time.Minute})
	})
}

// TestApplicationsDontWaitForEachOther: an application whose receiver hangs delays no other.
func TestApplicationsDontWaitForEachOther(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = false`)+shop(2, "", tenMinutes), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			if m.ApplicationID == 1 {
				time.Sleep(30 * time.Second)
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("slow", 100, "scheduleAt", at(12, 0))
		w.accept("even", 100, "scheduleAt", at(12, 0), "applicationId", 2, "campaignId", 1)
		w.until(at(12, 10))
		w.sentOf("even", 100, 0)
		checkGaps(t, w.sentBy("even"), 6*time.Second)
		w.until(at(12, 51))
		w.sentOf("slow", 100, 0)
	})
}

// TestRateTooLowForTheSlots: messages that a slot couldn't send are planned again after it.
func TestRateTooLowForTheSlots(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1m", capacity = 90`)+"rate = 1\n", func(t *testing.T, w *harness) {
		w.start()
		w.accept("slow", 180, "scheduleAt", at(12, 0))
		w.until(at(12, 10))
		w.sentOf("slow", 180, 0)
		got := sentBySlot(w.sentBy("slow"), time.Minute)
		for slot, n := range got {
			if n > 62 {
				t.Errorf("%d in the minute of %s at one a second", n, slot)
			}
		}
		w.checkInvariants(map[int64]int{1: 90}, map[int64]time.Duration{1: time.Minute})
	})
}

// TestRetriesKeepTheirTime: a retry follows its back-off, whatever slot that is in.
func TestRetriesKeepTheirTime(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1m", capacity = 10`), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result {
			if strings.HasSuffix(m.ContactCode, "3") && m.Attempt == 1 {
				return send.Result{Verdict: send.VerdictRetry, Detail: "busy", RetryAfter: 3 * time.Minute}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("again", 20, "scheduleAt", at(12, 0))
		w.until(at(12, 10))
		w.sentOf("again", 20, 0)
		if got := w.report("again"); got.State != campaign.StateCompleted {
			t.Error(got.State)
		}
		tried := map[string]time.Time{}
		for _, s := range w.sentBy("again") {
			if s.attempt == 2 {
				if wait := s.wall.Sub(tried[s.contact]); wait < 3*time.Minute || wait > 3*time.Minute+2*time.Second {
					t.Errorf("tried again after %s, the receiver asked for 3m", wait)
				}
			}
			tried[s.contact] = s.wall
		}
		w.checkInvariants(map[int64]int{1: 10}, map[int64]time.Duration{1: time.Minute})
	})
}

// TestThrottledRateIsInTheStatus: a provider's 429 halves the channel's rate, which recovers step by
// step; the status always has the current rate.
func TestThrottledRateIsInTheStatus(t *testing.T) {
	shop := "\n[[applications]]\nid = 1\n[applications.channels.push]\ndriver = \"null\"\nrate = 80\n"
	scenario(t, at(9, 0), shop, func(t *testing.T, w *harness) {
		var throttled atomic.Bool
		w.answer = func(*send.Message) send.Result {
			if throttled.CompareAndSwap(false, true) {
				return send.Result{Verdict: send.VerdictThrottled, Code: "429", Detail: "slower"}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		limit := func(want float64) {
			t.Helper()
			status, err := w.running.Status(t.Context())
			w.check(err)
			if len(status.Channels) != 1 || status.Channels[0].Current != want || status.Channels[0].Rate != 80 {
				t.Errorf("%+v; want %g in force", status.Channels, want)
			}
		}
		w.start()
		limit(80)
		w.accept("busy", 5, "scheduleAt", at(9, 5))
		w.until(at(9, 5).Add(5 * time.Second))
		limit(40)
		for _, want := range []float64{50, 62.5, 78.125, 80} {
			w.wait(10 * time.Second)
			limit(want)
		}
		if got := w.report("busy"); got.Messages.Sent != 5 {
			t.Errorf("%+v", got.Messages)
		}
		for _, s := range w.sentBy("busy") {
			if s.attempt != 1 {
				t.Errorf("a throttle counted as an attempt: %+v", s)
			}
		}
	})
}
