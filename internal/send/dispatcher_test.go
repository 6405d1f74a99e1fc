package send

import (
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
)

func TestSendsWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		id := r.accept(campaign.Sending{Reference: "ref"}, 10)
		time.Sleep(time.Second)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 10)
		got := r.ch.sent()
		if len(got) != 10 {
			t.Fatalf("%d messages went out; want 10", len(got))
		}
		m := got[0]
		if m.Reference != "ref" || m.Number != 1 || m.Attempt != 1 || m.ContactCode == "" || m.ChannelType != "c" || len(m.Content) == 0 {
			t.Errorf("message %+v", m)
		}
	})
}

func TestNothingGoesEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		at := time.Now().Add(3*time.Hour + 123*time.Millisecond)
		id := r.accept(campaign.Sending{ScheduledAt: at}, 3)
		time.Sleep(4 * time.Hour)
		r.store.wantState(t, id, campaign.StateCompleted, campaign.Sent, 3)
		for _, m := range r.ch.sent() {
			if !m.at.Equal(at) {
				t.Errorf("went out %v after its time", m.at.Sub(at))
			}
		}
	})
}

func TestManySendings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		big := r.accept(campaign.Sending{}, 20000)
		small := r.accept(campaign.Sending{ScheduledAt: time.Now()}, 10)
		time.Sleep(time.Minute)
		r.store.wantState(t, big, campaign.StateCompleted, campaign.Sent, 20000)
		r.store.wantState(t, small, campaign.StateCompleted, campaign.Sent, 10)
	})
}
