package send

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

func TestHoldChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		r := newHarness(t, answering(func(*Message) Result {
			if mended.Load() {
				return Result{Verdict: VerdictSent}
			}
			return Result{Verdict: VerdictHold, Hold: HoldChannel, Detail: "the token is refused"}
		}))
		id := r.accept(campaign.Sending{}, 100)
		time.Sleep(time.Second)
		held := r.HeldChannels()
		switch {
		case len(held) != 1:
			t.Fatalf("len(held): got %v, want 1: %+v", len(held), held)
		case held[0].Reason != "the token is refused":
			t.Fatalf(`held[0].Reason: got %q, want "the token is refused"`, held[0].Reason)
		case held[0].Name != "c":
			t.Fatalf(`held[0].Name: got %q, want "c"`, held[0].Name)
		case held[0].Application != 1:
			t.Fatalf("held[0].Application: got %v, want 1", held[0].Application)
		}
		if n := len(r.ch.sent()); n > 4 {
			t.Errorf("%d messages met the refusal; want no more than were under way", n)
		}
		r.store.wantState(t, id, campaign.StateSending, campaign.Pending, 100)
		before := len(r.ch.sent())
		time.Sleep(16 * time.Minute)
		if n := len(r.ch.sent()) - before; n != 3 {
			t.Errorf("%d tries in 16 minutes; want one each 5 minutes", n)
		}
		for _, m := range r.ch.sent() {
			if m.Attempt != 1 {
				t.Errorf("attempt %d: a hold counts none", m.Attempt)
			}
		}
		mended.Store(true)
		if _, err := r.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
		if held := r.HeldChannels(); len(held) != 0 {
			t.Errorf("still held: %+v", held)
		}
	})
}

func TestHoldSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		r := newHarness(t, answering(func(m *Message) Result {
			if mended.Load() || m.CampaignID == 8 {
				return Result{Verdict: VerdictSent}
			}
			return Result{Verdict: VerdictHold, Hold: HoldSending, Detail: "the template is paused"}
		}))
		id := r.accept(campaign.Sending{CampaignID: 7}, 100)
		other := r.accept(campaign.Sending{CampaignID: 8}, 100)
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateHeld, campaign.Pending, 100)
		r.store.wantState(t, other, campaign.StateCompleted, campaign.Sent, 100)
		if reason := r.store.header(id).Reason; reason != "the template is paused" {
			t.Errorf("reason %q", reason)
		}
		if next := time.Until(r.HeldUntil(id)); next != 4*time.Minute {
			t.Errorf("the next try is in %s; want it in 4 minutes", next)
		}
		before := len(r.ch.sent())
		time.Sleep(5 * time.Minute) // one message is tried, and meets the same
		r.store.wantState(t, id, campaign.StateHeld, campaign.Pending, 100)
		if n := len(r.ch.sent()) - before; n != 1 {
			t.Errorf("%d messages tried; want 1", n)
		}
		mended.Store(true)
		time.Sleep(6 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 100)
	})
}

// When nothing gets through, messages don't burn their attempts one after another (a retry storm).
func TestOutageIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(30 * time.Minute)
		r := newHarness(t, answering(func(*Message) Result {
			if time.Now().Before(until) {
				return Result{Verdict: VerdictRetry, Detail: "connection refused"}
			}
			return Result{Verdict: VerdictSent}
		}), func(r *harness) { r.app.Channels[0].Concurrency = 16 })
		id := r.accept(campaign.Sending{}, 10000)
		time.Sleep(10 * time.Minute)
		if n := len(r.ch.sent()); n > 100 {
			t.Errorf("%d attempts in ten minutes of outage", n)
		}
		if s := r.Channels()[0]; s.Held || !strings.Contains(s.Reason, "connection refused") || s.RetryAt.IsZero() {
			t.Errorf("status %+v; want the trouble reported", s)
		}
		time.Sleep(time.Hour)
		state, counts := r.store.state(id)
		if state != campaign.StateCompleted {
			t.Errorf("state = %q, want %q", state, campaign.StateCompleted)
		}
		if counts[campaign.Failed] > 20 {
			t.Errorf("counts[campaign.Failed] = %v, want at most 20", counts[campaign.Failed])
		}
		if counts[campaign.Sent]+counts[campaign.Failed] != 10000 {
			t.Errorf("counts[campaign.Sent] + counts[campaign.Failed] = %v, want 10000", counts[campaign.Sent]+counts[campaign.Failed])
		}
	})
}
