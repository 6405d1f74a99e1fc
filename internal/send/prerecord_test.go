package send

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

// A sync takes its time, and yet messages go out at theirs where unknown ones are
// resent: their attempts were recorded before. Elsewhere they wait for the sync.
func TestMarkedAheadOfItsTime(t *testing.T) {
	const sync = 15 * time.Millisecond
	for policy, latest := range map[Policy]time.Duration{RetryUnknown: 0, HoldUnknown: 2*sync + 5*time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			r := newHarness(t, func(r *harness) {
				r.app.Channels[0].OnUnknown = policy
				r.app.Channels[0].Concurrency = 16
				r.store.slowCommit = sync
			})
			begin := r.now()
			const n = 40
			for i := range n {
				due := begin.Add(5*time.Second + time.Duration(i*i)*7*time.Millisecond)
				r.accept(campaign.Sending{ScheduledAt: due, Reference: fmt.Sprint(i)}, 1)
			}
			time.Sleep(time.Minute)
			got := r.ch.sent()
			if len(got) != n {
				t.Fatalf("%s: %d messages went out; want %d", policy, len(got), n)
			}
			for _, m := range got {
				if late := m.at.Sub(m.DueAt); late < 0 || late > latest {
					t.Errorf("%s: message of %s went out %v after its time; want at most %v", policy, m.Reference, late, latest)
				}
			}
		})
	}
}

// What is marked ahead of its time and not sent when its sending is paused is
// pending again, and was not attempted.
func TestPausedBetweenMarkAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Concurrency = 64 })
		due := r.now().Add(5 * time.Second)
		id := r.accept(campaign.Sending{ScheduledAt: due}, 30)
		time.Sleep(5*time.Second - time.Millisecond)
		if n := r.InFlightOf(id); n != 30 {
			t.Errorf("%d are marked just before their time; want 30", n)
		}
		if state, err := r.Pause(t.Context(), id); state != campaign.StatePaused || err != nil {
			t.Fatalf("pause: %s, %v", state, err)
		}
		time.Sleep(time.Minute)
		if n := len(r.ch.sent()); n != 0 {
			t.Errorf("%d messages went out after the pause", n)
		}
		r.store.wantState(t, id, campaign.StatePaused, campaign.Pending, 30)
		if _, err := r.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 30)
		for _, m := range r.ch.sent() {
			if m.Attempt != 1 {
				t.Errorf("attempt %d of a message that went out once", m.Attempt)
			}
		}
	})
}

// A clock that is set back keeps nothing marked for as long, and nothing goes early.
func TestClockSetBackWhileMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wall{}
		r := newHarness(t, func(r *harness) { r.opts.Now = w.now; r.app.Channels[0].Concurrency = 64 })
		due := r.now().Add(5 * time.Second)
		id := r.accept(campaign.Sending{ScheduledAt: due}, 10)
		time.Sleep(5*time.Second - time.Millisecond)
		w.jump(-10 * time.Minute)
		time.Sleep(5 * time.Second)
		if n := r.InFlightOf(id); n != 0 {
			t.Errorf("%d are marked ten minutes before their time", n)
		}
		if n := len(r.ch.sent()); n != 0 {
			t.Errorf("%d messages went out early", n)
		}
		time.Sleep(11 * time.Minute)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
	})
}

// A channel with a rate has no more marked ahead than may go at once, so that
// what is due of another sending doesn't wait behind it.
func TestNoMoreAheadThanTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t, func(r *harness) { r.app.Channels[0].Rate, r.app.Channels[0].Concurrency = 10, 64 })
		due := r.now().Add(5 * time.Second)
		id := r.accept(campaign.Sending{ScheduledAt: due}, 30)
		time.Sleep(5*time.Second - time.Millisecond)
		if n := r.InFlightOf(id); n > 1 {
			t.Errorf("%d are marked ahead at ten a second; want 1", n)
		}
	})
}
