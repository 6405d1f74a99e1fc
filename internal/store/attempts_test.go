package store

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
	"campaignd/internal/store/db"
)

// seen returns a result whose attempt the receiver may have seen.
func seen(e campaign.Entry) campaign.Entry {
	e.Seen = true
	return e
}

// wantAttempts fails the test unless an application has had want attempts in the current slot.
func wantAttempts(t *testing.T, s *Store, application int64, slot time.Duration, want uint64) {
	t.Helper()
	if got, err := s.AttemptsSince(application, time.Now().Truncate(slot)); got != want || err != nil {
		t.Errorf("application %d: %d attempts in the slot, %v; want %d", application, got, err, want)
	}
}

// TestAttemptsSince: the attempts in a slot are known after every crash: whatever became of the
// messages, and those in flight.
func TestAttemptsSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = time.Hour
		s := openTest(t)
		id := accept(t, s, draft{rows: 8}, &plan.Grid{Slot: slot, Capacity: 100}).ID
		unsliced := accept(t, s, draft{rows: 2}, nil).ID
		for row, o := range []campaign.Outcome{campaign.Sent, campaign.Failed, campaign.Retrying, campaign.Pending, campaign.Pending} {
			commit(t, s, entry(id, row, 1, campaign.InFlight, 1))
			e := entry(id, row, 1, o, 0)
			e.Seen = row != 4 // not handed over
			commit(t, s, e)
		}
		commit(t, s, entry(id, 2, 1, campaign.InFlight, 2)) // again
		commit(t, s, seen(entry(id, 2, 1, campaign.Sent, 2)))
		attempted(t, s, unsliced, 0, 1, campaign.Sent, false)
		wantAttempts(t, s, 1, slot, 5)
		wantAttempts(t, s, 2, slot, 0)
		for crash := range 2 {
			commit(t, s, entry(id, 5, 1, campaign.InFlight, 1))
			commit(t, s, entry(unsliced, 1, 1, campaign.InFlight, 1))
			s.Close()
			s = openAt(t, s.db.Path())
			if _, err := recoverOwn(s, func(int64, string) bool { return true }); err != nil {
				t.Fatal(err)
			}
			wantAttempts(t, s, 1, slot, 6+uint64(crash))
		}
		time.Sleep(slot)
		wantAttempts(t, s, 1, slot, 0)
		commit(t, s, entry(id, 5, 1, campaign.InFlight, 1))
		commit(t, s, seen(entry(id, 5, 1, campaign.Sent, 1)))
		wantAttempts(t, s, 1, slot, 1)
	})
}

// TestAttemptsAfterAnUpgrade: version 5 didn't count attempts; what was reserved in the slot of the
// upgrade counts as attempted in it.
func TestAttemptsAfterAnUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = time.Hour
		s := openTest(t)
		accept(t, s, draft{rows: 8}, &plan.Grid{Slot: slot, Capacity: 6})
		if err := s.update(func(t *tx) error {
			if err := t.DeleteBucket([]byte("attempts")); err != nil {
				return err
			}
			return t.Bucket(db.Meta).Put([]byte("version"), binary.BigEndian.AppendUint32(nil, 5))
		}); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openAt(t, s.db.Path())
		wantAttempts(t, s, 1, slot, 6)
		time.Sleep(slot)
		wantAttempts(t, s, 1, slot, 0)
	})
}

// TestCancelOutlivesACrash: a cancel that waits for messages in flight when the process ends makes the
// sending canceled at the next start, also if it was paused: nothing else would ever end it.
func TestCancelOutlivesACrash(t *testing.T) {
	for _, state := range []campaign.State{campaign.StateSending, campaign.StatePaused} {
		s := openTest(t)
		id := accept(t, s, draft{rows: 3}, nil).ID
		commit(t, s, entry(id, 0, 1, campaign.InFlight, 1))
		if state == campaign.StatePaused {
			setState(t, s, id, state, "paused on request")
		}
		if _, _, err := s.Finalize(id, campaign.Canceled); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = openAt(t, s.db.Path())
		if _, err := recoverOwn(s, func(int64, string) bool { return true }); err != nil {
			t.Fatal(err)
		}
		head, err := s.Header(id)
		if err != nil {
			t.Fatal(err)
		}
		if head.State != campaign.StateCanceled {
			t.Errorf("%q: head.State = %q, want %q\n%+v", state, head.State, campaign.StateCanceled, head.FinishedAt)
		}
		if head.FinishedAt.IsZero() {
			t.Errorf("%q: head.FinishedAt is zero", state)
		}
		if head.Reason != campaign.ReasonCanceled {
			t.Errorf("%q: head.Reason = %q, want %q", state, head.Reason, campaign.ReasonCanceled)
		}
		wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Unknown: 1, campaign.Canceled: 2})
		verify(t, s)
	}
}
