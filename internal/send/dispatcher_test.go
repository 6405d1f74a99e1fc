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
		switch {
		case m.Reference != "ref":
			t.Errorf(`m.Reference: got %q, want "ref"`, m.Reference)
		case m.Number != 1:
			t.Errorf("m.Number: got %v, want 1", m.Number)
		case m.Attempt != 1:
			t.Errorf("m.Attempt: got %v, want 1", m.Attempt)
		case m.ContactCode == "":
			t.Error(`m.ContactCode: got ""`)
		case m.ChannelType != "c":
			t.Errorf(`m.ChannelType: got %q, want "c"`, m.ChannelType)
		case len(m.Content) == 0:
			t.Error("len(m.Content): got 0")
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
