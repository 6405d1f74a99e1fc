package send

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// TestARescheduledSendingGoesOutAtItsNewTime: not at the time for which it was loaded, earlier or later.
func TestARescheduledSendingGoesOutAtItsNewTime(t *testing.T) {
	for name, move := range map[string]time.Duration{"later": time.Hour, "earlier": -500 * time.Millisecond, "much earlier": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				first := time.Now().Add(time.Second) // near enough to be loaded
				if move < -time.Hour {
					first = time.Now().Add(3 * time.Hour)
				}
				id := r.accept(campaign.Sending{ScheduledAt: first}, 10)
				synctest.Wait()
				at := first.Add(move)
				err := r.Reschedule(t.Context(), id, func() error {
					_, err := r.store.Reschedule(id, at, store.Terms{})
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Until(at) - time.Millisecond)
				if n := len(r.ch.sent()); n != 0 {
					t.Errorf("%d messages went out before the new time", n)
				}
				time.Sleep(2 * time.Second)
				r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
			})
		})
	}
}

// TestARefusedRescheduleChangesNothing: the sending goes out at its own time.
func TestARefusedRescheduleChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		id := r.accept(campaign.Sending{ScheduledAt: time.Now().Add(time.Second)}, 10)
		synctest.Wait()
		refused := errors.New("no room")
		if err := r.Reschedule(t.Context(), id, func() error { return refused }); !errors.Is(err, refused) {
			t.Fatalf("got %v, want %v", err, refused)
		}
		time.Sleep(2 * time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
	})
}
