package daemon

import (
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// sentOf fails the test unless the drop has completed with these counts.
func (w *harness) sentOf(name string, sent, expired uint64) {
	w.t.Helper()
	w.state(name, campaign.StateCompleted)
	switch m := w.report(name).Messages; {
	case m.Sent != sent:
		w.t.Errorf("%s: m.Sent = %v, want %v", name, m.Sent, sent)
	case m.Expired != expired:
		w.t.Errorf("%s: m.Expired = %v, want %v", name, m.Expired, expired)
	case m.Planned != sent+expired:
		w.t.Errorf("%s: m.Planned = %v, want %v", name, m.Planned, sent+expired)
	}
}

// TestStopPlansAgain is the stop of docs/slicing.md: the unsent messages of the slices at
// 12:00, 12:10 and 12:30 are sent from 12:35 on, after the reservations of others, never in one burst.
func TestStopPlansAgain(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("other", 30, "scheduleAt", at(12, 40))
		w.accept("spring", 400, "scheduleAt", at(12, 0), "slicingCondition", "deferredConsecutiveSlots")
		w.until(at(12, 5).Add(time.Second))
		w.shutdown()
		w.until(at(12, 35))
		w.start()
		w.wait(time.Second)
		if n := len(w.sentBy("spring")); n > 53 {
			t.Fatalf("%d are sent a second after the stop: a burst", n)
		}
		w.until(at(14, 0))
		w.sentOf("spring", 400, 0)
		// At 12:30, 100 were reserved already; those due by 12:35 were missed with
		// the slot not over; 12:40 has 30 of another.
		got := sentBySlot(w.sentBy("spring"), 10*time.Minute)
		w.want("planned again", got, map[string]int{"12:00:00": 51, "12:30:00": 100, "12:40:00": 70, "12:50:00": 100, "13:00:00": 79})
		w.checkTenMinutes()
	})
}

// TestPausePlansAgain: a pause over slots is like a stop.
func TestPausePlansAgain(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 250, "scheduleAt", at(12, 0))
		w.until(at(12, 5).Add(time.Second))
		w.control("spring", w.running.send.Pause)
		w.until(at(12, 40))
		if n := len(w.sentBy("spring")); n != 51 {
			t.Errorf("%d are sent when it is resumed, 51 were when it was paused", n)
		}
		w.state("spring", campaign.StatePaused)
		w.control("spring", w.running.send.Resume)
		w.until(at(14, 0))
		w.sentOf("spring", 250, 0)
		w.want("planned again", sentBySlot(w.sentBy("spring"), 10*time.Minute), map[string]int{"12:00:00": 51, "12:40:00": 100, "12:50:00": 99})
		w.checkTenMinutes()
	})
}

// TestHalfMissedSlotIsNoBurst: the unsent messages of a slot are spread over the rest of it.
func TestHalfMissedSlotIsNoBurst(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 100, "scheduleAt", at(12, 0))
		w.until(at(12, 1).Add(time.Second)) // 11 are sent
		w.shutdown()
		w.until(at(12, 6))
		w.start()
		w.until(at(12, 11))
		w.sentOf("spring", 100, 0)
		list := w.sentBy("spring")
		checkGaps(t, list[:11], 6*time.Second)
		checkGaps(t, list[11:], 4*time.Minute/89)
		w.checkTenMinutes()
	})
}

// TestMissedForGoodExpires: messages that fit into no slot before T + 48 h expire.
func TestMissedForGoodExpires(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("some", 500, "scheduleAt", at(12, 0), "slicingCondition", "immediateConsecutiveSlots")
		w.until(at(12, 0).Add(time.Second))
		w.shutdown()
		w.until(at(12, 0).Add(47*time.Hour + 35*time.Minute))
		w.start()
		w.until(at(12, 0).Add(48*time.Hour + time.Hour))
		// One at T, then half a slot (by time) and two whole ones.
		w.sentOf("some", 251, 249)
		w.checkTenMinutes()
	})
}

// TestAllMissedExpires: everything expires if the daemon is down until after T + 48 h.
func TestAllMissedExpires(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("none", 150, "scheduleAt", at(12, 0))
		w.shutdown()
		w.until(at(12, 0).Add(50 * time.Hour))
		w.start()
		w.wait(time.Minute)
		w.sentOf("none", 0, 150)
		// Its capacity is of no use to anyone, but a later one gets its own.
		w.accept("later", 100)
		w.wait(20 * time.Minute)
		w.sentOf("later", 100, 0)
	})
}

// TestPausedUntilTooLateExpires: a pause has the same effect as a stop.
func TestPausedUntilTooLateExpires(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("none", 150, "scheduleAt", at(12, 0))
		w.control("none", w.running.send.Pause)
		w.until(at(12, 0).Add(50 * time.Hour))
		w.control("none", w.running.send.Resume)
		w.wait(time.Minute)
		w.sentOf("none", 0, 150)
	})
}

// TestUnslicedExpires: an unsliced sending expires max_lateness after T and is sent immediately before that.
func TestUnslicedExpires(t *testing.T) {
	scenario(t, at(9, 0), shop(1, `max_lateness = "1h"`, `enabled = false`), func(t *testing.T, w *harness) {
		w.start()
		w.accept("late", 50, "scheduleAt", at(12, 0))
		w.accept("tooLate", 50, "scheduleAt", at(11, 29))
		w.shutdown()
		w.until(at(12, 30))
		w.start()
		w.wait(30 * time.Second)
		w.sentOf("late", 50, 0)
		w.sentOf("tooLate", 0, 50)
	})
}

// TestUnslicedWaitsForTheWindow: nothing is sent while the window is closed, and that time
// doesn't count towards max_lateness; the rest is sent when it opens.
func TestUnslicedWaitsForTheWindow(t *testing.T) {
	windows := `windows = ["* 9-20 * * *"]` + "\n" + `timezone = "Europe/Madrid"`
	rate := "rate = 1\n"
	scenario(t, at(9, 0), shop(1, windows, `enabled = false`)+rate+shop(2, windows+"\nmax_lateness = \"2h\"", `enabled = false`)+rate, func(t *testing.T, w *harness) {
		w.start()
		w.accept("night", 100, "scheduleAt", at(19, 59)) // Madrid is an hour ahead
		w.accept("short", 100, "scheduleAt", at(19, 59), "applicationId", 2, "campaignId", 1)
		w.accept("evening", 5, "scheduleAt", at(22, 0)) // T moves to the next opening
		w.until(at(20, 1))
		for _, name := range []string{"night", "short"} {
			if n := len(w.sentBy(name)); n < 58 || n > 61 {
				t.Errorf("%d of %s are sent in the last minute, want 60", n, name)
			}
			for _, s := range w.sentBy(name) {
				if !s.wall.Before(at(20, 0)) {
					t.Errorf("%s sends at %s, the window closes at 20:00", name, s.wall)
				}
			}
		}
		w.until(at(23, 0))
		if got := w.report("short"); got.State != campaign.StateSending || got.Messages.Expired > 0 || !strings.Contains(got.Reason, "windows are closed") {
			t.Errorf("short is %s with %+v, reason %q; want it to wait for the window", got.State, got.Messages, got.Reason)
		}
		w.until(at(32, 10))
		w.sentOf("night", 100, 0)
		w.sentOf("short", 100, 0)
		w.sentOf("evening", 5, 0)
		if first := w.sentBy("evening")[0]; first.wall.Before(at(32, 0)) || first.wall.After(at(32, 1)) {
			t.Errorf("T outside the windows moves to 09:00 in Madrid, it was sent at %s", first.wall)
		}
	})
}

// TestRestartInEveryState: a stop changes only the time at which sendings continue.
func TestRestartInEveryState(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		held := true
		w.answer = func(m *send.Message) send.Result {
			if held && m.ContactCode[0] == 'h' {
				return send.Result{Verdict: send.VerdictHold, Hold: send.HoldSending, Detail: "the template is paused"}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("completed", 5)
		w.accept("canceled", 50, "scheduleAt", at(12, 0))
		w.control("canceled", w.running.send.Cancel)
		w.accept("scheduled", 20, "scheduleAt", at(15, 0))
		w.accept("sending", 20, "scheduleAt", at(10, 0))
		w.accept("paused", 20, "scheduleAt", at(10, 0))
		w.accept("held", 20, "scheduleAt", at(10, 0))
		w.drop("incoming", 20, "scheduleAt", at(15, 0))
		w.until(at(10, 5))
		w.control("paused", w.running.send.Pause)
		w.shutdown()
		states := map[string]campaign.State{"completed": campaign.StateCompleted, "canceled": campaign.StateCanceled, "scheduled": campaign.StateScheduled,
			"sending": campaign.StateSending, "paused": campaign.StatePaused, "held": campaign.StateHeld, "incoming": campaign.StateScheduled}
		for range 3 {
			for name, want := range states {
				w.state(name, want)
			}
			w.start()
			w.wait(20 * time.Second)
			w.shutdown()
			w.wait(10 * time.Second)
		}
		w.start()
		w.wait(time.Second)
		held = false
		w.control("paused", w.running.send.Resume)
		w.control("held", w.running.send.Resume)
		w.until(at(16, 0))
		for name := range states {
			if name != "canceled" {
				m := w.report(name).Messages
				w.sentOf(name, m.Planned, 0)
			}
		}
		if n := len(w.sentBy("canceled")); n != 0 {
			t.Errorf("%d of a canceled sending were sent", n)
		}
		w.checkTenMinutes()
	})
}

// TestExpiresWhileItWaitsForARetry: messages that wait for a retry in 20 hours expire at max_lateness,
// whatever happened to the daemon meanwhile.
func TestExpiresWhileItWaitsForARetry(t *testing.T) {
	for _, c := range []struct {
		name    string
		happens func(w *harness)
	}{
		{"a restart", func(w *harness) { w.shutdown(); w.start() }},
		{"a reload", func(w *harness) { w.check(w.running.Reload(w.t.Context(), "test")) }},
		{"a pause", func(w *harness) {
			w.control("spring", w.running.send.Pause)
			w.wait(10 * time.Second)
			if waits := w.status("spring").WaitsFor; waits == nil || !waits.Until.IsZero() {
				w.t.Errorf("a paused sending waits for %+v; want no end, whenever its retries are due", waits)
			}
			w.control("spring", w.running.send.Resume)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, at(9, 0), shop(1, `max_lateness = "1h"`, "enabled = false"), func(t *testing.T, w *harness) {
				w.answer = func(*send.Message) send.Result {
					return send.Result{Verdict: send.VerdictRetry, Code: "503", Detail: "maintenance", RetryAfter: 20 * time.Hour}
				}
				w.start()
				w.accept("spring", 3, "scheduleAt", at(9, 10))
				w.until(at(9, 30))
				c.happens(w)
				w.until(at(10, 9))
				w.state("spring", campaign.StateSending)
				wait, ok := w.running.send.Wait(w.id("spring"))
				switch {
				case !ok:
					t.Errorf("the sending waits for %+v; want the last answer", wait)
				case !strings.Contains(wait.Reason, "trying again after: 503: maintenance"):
					t.Errorf("wait.Reason = %q, want \"trying again after: 503: maintenance\" in it", wait.Reason)
				}
				switch since := wait.Since.Sub(at(9, 10)); {
				case since < 0:
					t.Errorf("since = %v, want at least 0", since)
				case since > time.Second:
					t.Errorf("since = %v, want at most %v", since, time.Second)
				case wait.Until.Sub(at(10, 10)).Abs() > 11*time.Second: // a pause doesn't count
					t.Errorf("wait.Until = %v, want %v, when its messages expire", wait.Until, at(10, 10))
				}
				w.until(at(10, 11))
				w.sentOf("spring", 0, 3)
			})
		})
	}
}
