package send

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// A receiver that is down may accept connections and cut them off. What it certainly doesn't have waits.
func TestAnOutageThatCutsConnectionsOffCostsNoMessage(t *testing.T) {
	cutOff := Result{Verdict: VerdictRetry, Unwritten: true, Detail: "the request could not be written: the connection was closed"}
	for name, recipients := range map[string]int{"one message": 1, "two messages": 2, "many messages": 500} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const outage = 5 * time.Hour
				r := newHarness(t, until(outage, cutOff))
				id := r.accept(campaign.Sending{}, recipients)
				time.Sleep(outage / 2)
				if s := r.Channels()[0]; s.State != ChannelTrouble || !strings.Contains(s.Reason, "could not be written") {
					t.Errorf("status %+v; want trouble and its reason", s)
				}
				if w, ok := r.Wait(id); !ok || !strings.Contains(w.Reason, "in trouble") {
					t.Errorf("wait %+v, %t; want the trouble", w, ok)
				}
				time.Sleep(outage/2 + 3*time.Minute)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, uint64(recipients))
				for _, m := range r.ch.sent() {
					if m.Attempt > 4 {
						t.Fatalf("attempt %d; want no probe counted", m.Attempt)
					}
				}
			})
		})
	}
}

// A channel that was held fails its probe in another way.
func TestAHeldChannelsProbeThatIsCutOffCostsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newHarness(t, answering(func(*Message) Result {
			switch n++; n {
			case 1:
				return Result{Verdict: VerdictHold, Hold: HoldChannel, Detail: "the credentials are refused", RetryAfter: time.Minute}
			case 2, 3, 4:
				return Result{Verdict: VerdictRetry, Unwritten: true, Detail: "the connection was closed"}
			}
			return Result{Verdict: VerdictSent}
		}), func(r *harness) { r.app.Channels[0].MaxAttempts = 1 })
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(5 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 1)
	})
}

// Messages that are cut off whenever they are tried, such as those that are too long for a receiver, don't
// keep the others waiting.
func TestMessagesThatAreAlwaysCutOffDoNotBlockTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		bad := []string{"34600000000", "34600000001", "34600000002", "34600000003", "34600000004"}
		var last time.Time // of a message that was sent
		r := newHarness(t, answering(func(m *Message) Result {
			if slices.Contains(bad, m.ContactCode) {
				return Result{Verdict: VerdictRetry, Unwritten: true, Detail: "the connection was closed"}
			}
			if at := time.Now(); at.Sub(begin) < 20*time.Minute {
				last = at
			}
			return Result{Verdict: VerdictSent}
		}), func(r *harness) { r.app.Channels[0].Concurrency = 1 })
		id := r.accept(campaign.Sending{}, 200)
		time.Sleep(20 * time.Minute)
		r.store.wantState(t, id, campaign.StateSending, campaign.Sent, 195)
		if took := last.Sub(begin); took > 10*time.Second {
			t.Errorf("the last message went out after %v; want a few seconds", took)
		}
	})
}
