package send

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// The changes that the last answers ask for are in the store before Run returns: who closes
// the store after it must not find a step still at work.
func TestStopWaitsForStepsOfTheLastAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, func(r *harness) {
			r.ch.answer = func(ctx context.Context, _ *Message) Result {
				<-ctx.Done() // cut off by the stop
				return Result{Verdict: VerdictHold, Hold: HoldSending, Detail: "the template is paused"}
			}
			tries := 0
			r.store.fail = func(op string) error {
				if op == "state" {
					if tries++; tries < 4 {
						return errors.New("disk full")
					}
				}
				return nil
			}
		})
		id := r.accept(campaign.Sending{}, 1)
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if state, _ := r.store.state(id); state != campaign.StateHeld {
			t.Errorf("the sending is %s when Run has returned; want held", state)
		}
	})
}

// A person's cancel that comes while all stops, or after, is whole when it returns.
func TestCancelAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		id := r.accept(campaign.Sending{ScheduledAt: time.Now().Add(time.Hour)}, 3)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		r.store.wantState(t, id, campaign.StateScheduled, campaign.Canceled, 3)
	})
}
