package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// TestSlotAcrossARestart: what a slot has seen before a restart counts: retries too, and attempts
// that the receiver refused without being the message's fault.
func TestSlotAcrossARestart(t *testing.T) {
	for _, refusal := range []send.Result{
		{Verdict: send.VerdictRetry, Code: "500", Detail: "busy"},
		{Verdict: send.VerdictThrottled, Code: "429", Detail: "too many requests", RetryAfter: time.Second},
		{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "401", Detail: "no such token", RetryAfter: time.Second},
	} {
		t.Run(refusal.Code, func(t *testing.T) { testSlotAcrossARestart(t, refusal) })
	}
}

func testSlotAcrossARestart(t *testing.T, refusal send.Result) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes)+"max_attempts = 15\nretry_base = \"1s\"\n", func(t *testing.T, w *harness) {
		tries := map[string]int{}
		w.answer = func(m *send.Message) send.Result {
			if tries[m.Key]++; tries[m.Key] < 3 && w.now().Before(at(12, 10)) {
				return refusal
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("spring", 300, "scheduleAt", at(12, 0))
		for _, minute := range []int{2, 4, 14} {
			w.until(at(12, minute))
			w.shutdown()
			w.start()
		}
		w.until(at(14, 0))
		seen := map[string]int{}
		for _, s := range w.sentBy("spring") {
			seen[clock(s.wall.Truncate(10*time.Minute))]++
		}
		for slot, n := range seen {
			if n > 100 {
				t.Errorf("%d attempts in the slot of %s; want 100 at most", n, slot)
			}
		}
		if n := seen["12:00:00"]; n < 80 {
			t.Errorf("%d attempts in the first slot; want nearly 100", n)
		}
		w.state("spring", campaign.StateCompleted)
	})
}

// TestEqualRefusalsHoldTheSending: a receiver that refuses every message for the same reason
// costs a few of them, and after a resume and a resend all arrive.
func TestEqualRefusalsHoldTheSending(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false")+"concurrency = 4\nrate = 10\n", func(t *testing.T, w *harness) {
		refuses := true
		w.answer = func(*send.Message) send.Result {
			if refuses {
				return send.Result{Verdict: send.VerdictPermanent, Code: "554", Detail: "the account is in the sandbox"}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("spring", 200)
		w.wait(time.Hour)
		w.state("spring", campaign.StateHeld)
		got := w.status("spring")
		if n := got.Messages.Failed; n < 20 || n > 24 {
			t.Errorf("%d messages failed; want 20 and up to concurrency more", n)
		}
		if !strings.Contains(got.Reason, "20 equal refusals in a row: 554: the account is in the sandbox") {
			t.Errorf("the reason is %q", got.Reason)
		}
		w.shutdown() // it stays held
		w.start()
		w.wait(time.Hour)
		w.state("spring", campaign.StateHeld)
		refuses = false
		w.control("spring", w.running.send.Resume)
		w.wait(time.Hour)
		w.state("spring", campaign.StateCompleted)
		if _, err := w.running.Resend(context.Background(), w.id("spring"), []api.ResendOutcome{api.ResendFailed}, false, "test"); err != nil {
			t.Fatal(err)
		}
		w.wait(time.Hour)
		switch got := w.report("spring"); {
		case got.State != campaign.StateCompleted:
			t.Errorf("got.State = %q, want %q", got.State, campaign.StateCompleted)
		case got.Messages.Sent != 200:
			t.Errorf("got.Messages.Sent = %v, want 200", got.Messages.Sent)
		}
	})
}

// TestADueSendingThatHasNotBegunSaysWhyItWaits: a sending that comes when another has put the channel
// on hold says so in its status.json, and no longer when the hold has ended.
func TestADueSendingThatHasNotBegunSaysWhyItWaits(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		w.answer = func(*send.Message) send.Result {
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "the account is locked", RetryAfter: 6 * time.Hour}
		}
		w.start()
		w.accept("first", 3)
		w.wait(time.Minute)
		w.accept("second", 3)
		w.accept("later", 3, "delay", "PT2H")
		w.wait(10 * time.Second)
		waits := func(name string) string {
			if wait := w.status(name).WaitsFor; wait != nil {
				return wait.Reason
			}
			return ""
		}
		if got := waits("second"); !strings.Contains(got, "the account is locked") {
			t.Errorf("the due sending waits for %q, want the hold", got)
		}
		if got := waits("later"); got != "" {
			t.Errorf("the sending that isn't due waits for %q, want nothing", got)
		}
		w.wait(2 * time.Hour)
		if got := waits("later"); !strings.Contains(got, "the account is locked") {
			t.Errorf("the sending that has become due waits for %q, want the hold", got)
		}
	})
}

// TestDailyContactsNeverExpireMessages: a quota of 5 contacts a day, kept in the store, lets 8
// messages out on two days, whatever max_lateness is, also when the daemon restarts meanwhile.
func TestDailyContactsNeverExpireMessages(t *testing.T) {
	scenario(t, at(9, 0), shop(1, `max_lateness = "24h"`, "enabled = false"), func(t *testing.T, w *harness) {
		w.answer = func(m *send.Message) send.Result { // as the driver does
			ok, next, err := w.running.store.Contacts("whatsapp/1", 5).Allow([]byte(m.ContactCode), w.now())
			switch {
			case err != nil:
				t.Error(err)
			case !ok:
				return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, OwnRule: true, Detail: "daily_contacts is reached", RetryAfter: next.Sub(w.now())}
			}
			return send.Result{Verdict: send.VerdictSent}
		}
		w.start()
		w.accept("spring", 8)
		w.wait(time.Hour)
		got := w.status("spring")
		if got.Messages.Sent != 5 || got.WaitsFor == nil || !strings.Contains(got.WaitsFor.Reason, "daily_contacts is reached") {
			t.Errorf("on the first day %d are sent and it waits for %+v; want 5 and the quota", got.Messages.Sent, got.WaitsFor)
		}
		w.shutdown()
		w.start()
		w.until(at(9, 0).AddDate(0, 0, 2))
		if got := w.report("spring"); got.State != campaign.StateCompleted || got.Messages.Sent != 8 {
			t.Errorf("it is %s with %+v; want 8 sent", got.State, got.Messages)
		}
	})
}
