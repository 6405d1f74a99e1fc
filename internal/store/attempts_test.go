package store

import (
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// TestAttemptsSince: the attempts in a slot are known after a crash: those of messages that were
// sent, that wait for a retry and that were in flight, of the application's sliced sendings alone.
func TestAttemptsSince(t *testing.T) {
	s := openTest(t)
	grid := &plan.Grid{Slot: time.Hour, Capacity: 100}
	id := accept(t, s, draft{rows: 8}, grid).ID
	unsliced := accept(t, s, draft{rows: 2}, nil).ID
	since := time.Now().Add(-time.Minute)
	attempted(t, s, id, 0, 1, campaign.Sent, false)
	attempted(t, s, id, 1, 3, campaign.Failed, false)
	attempted(t, s, id, 2, 2, campaign.Retrying, false)
	attempted(t, s, id, 3, 0, campaign.Retrying, false) // throttled, which isn't counted as an attempt
	attempted(t, s, unsliced, 0, 1, campaign.Sent, false)
	early := entry(id, 4, 1, campaign.InFlight, 1)
	commit(t, s, early)
	early.Outcome, early.At = campaign.Sent, since.Add(-time.Second)
	commit(t, s, early)
	commit(t, s, entry(id, 5, 1, campaign.InFlight, 1))
	s.Close()
	s = openAt(t, s.path)
	if _, err := s.Recover(func(int64, string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for application, want := range map[int64]uint64{1: 1 + 3 + 2 + 1 + 1, 2: 0} {
		if got, err := s.AttemptsSince(application, since); got != want || err != nil {
			t.Errorf("application %d: %d attempts, %v; want %d", application, got, err, want)
		}
	}
	// In flight at the crash: nobody knows when.
	if got, err := s.AttemptsSince(1, time.Now().Add(time.Minute)); got != 1 || err != nil {
		t.Errorf("%d attempts in the next slot, %v; want 1", got, err)
	}
}

// TestCancelOutlivesACrash: a cancel that waits for messages in flight when the process ends makes the
// sending canceled at the next start, also if it was paused: nothing else would ever end it.
func TestCancelOutlivesACrash(t *testing.T) {
	for _, state := range []campaign.State{campaign.StateSending, campaign.StatePaused} {
		s := openTest(t)
		id := accept(t, s, draft{rows: 3}, nil).ID
		commit(t, s, entry(id, 0, 1, campaign.InFlight, 1))
		if state == campaign.StatePaused {
			if _, _, err := s.SetState(id, nil, state, "paused on request"); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.Finalize(id, campaign.Canceled); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openAt(t, s.path)
		if _, err := s.Recover(func(int64, string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		head, err := s.Header(id)
		if err != nil {
			t.Fatal(err)
		}
		if head.State != campaign.StateCanceled || head.FinishedAt.IsZero() || head.Reason != campaign.ReasonCanceled {
			t.Errorf("it was %s and canceled, and is %s (%s), finished at %s", state, head.State, head.Reason, head.FinishedAt)
		}
		wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Unknown: 1, campaign.Canceled: 2})
		verify(t, s)
	}
}
