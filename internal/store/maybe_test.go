package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// attempted commits an attempt of a row's first message and its result.
func attempted(t *testing.T, s *Store, id campaign.ID, row, attempts int, o campaign.Outcome, maybe bool) {
	t.Helper()
	commit(t, s, entry(id, row, 1, campaign.InFlight, attempts))
	e := entry(id, row, 1, o, attempts)
	e.NextAt, e.MaybeDelivered = time.Now().Add(time.Minute), maybe
	commit(t, s, e)
}

// TestMaybeDeliveredIsNeverCalledAnythingElse: a message with an attempt that may have been
// delivered ends as unknown, whatever ends it, however many certain failures follow, and
// also after a restart.
func TestMaybeDeliveredIsNeverCalledAnythingElse(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 8}, nil).ID
	attempted(t, s, id, 0, 1, campaign.Retrying, true)
	attempted(t, s, id, 0, 2, campaign.Retrying, false) // certainly not, but the first one maybe
	attempted(t, s, id, 1, 1, campaign.Retrying, false)
	attempted(t, s, id, 2, 1, campaign.Retrying, true)
	attempted(t, s, id, 3, 1, campaign.Retrying, true)
	attempted(t, s, id, 4, 1, campaign.Retrying, true)
	commit(t, s, entry(id, 5, 1, campaign.InFlight, 1)) // in flight at the crash
	attempted(t, s, id, 6, 1, campaign.Retrying, true)
	s.Close()
	s = openAt(t, s.db.Path())
	if _, err := recoverOwn(s, func(int64, string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	retries, err := s.Retries(id, 0)
	if err != nil || len(retries) != 6 {
		t.Fatalf("%d retries, %v", len(retries), err)
	}
	for _, e := range retries {
		if want := e.Row != 1; e.MaybeDelivered != want {
			t.Errorf("row %d: maybe delivered %t, want %t", e.Row, e.MaybeDelivered, want)
		}
	}
	commit(t, s, entry(id, 2, 1, campaign.Suppressed, 1))
	attempted(t, s, id, 3, 2, campaign.Failed, false)
	attempted(t, s, id, 4, 2, campaign.Sent, false)
	wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Unknown: 2, campaign.Sent: 1, campaign.Retrying: 3, campaign.Pending: 2})
	commit(t, s, entry(id, 6, 1, campaign.InFlight, 2)) // comes back after the cancel
	ended, unknown, err := s.Finalize(id, campaign.Canceled)
	if ended != 2 || unknown != 2 || err != nil {
		t.Errorf("%d canceled, %d unknown, want 2 and 2, %v", ended, unknown, err)
	}
	commit(t, s, entry(id, 6, 1, campaign.Pending, 2))
	wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Unknown: 5, campaign.Sent: 1, campaign.Canceled: 2})
	verify(t, s)
}

// TestResentUnknownStaysMaybeDelivered: canceling a resend doesn't make an unknown message canceled.
func TestResentUnknownStaysMaybeDelivered(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 2}, nil).ID
	attempted(t, s, id, 0, 1, campaign.Unknown, false)
	attempted(t, s, id, 1, 1, campaign.Failed, false)
	if n, err := resend(s, id, []campaign.Outcome{campaign.Unknown, campaign.Failed}, false); n != 2 || err != nil {
		t.Fatalf("resend: %d, %v", n, err)
	}
	if ended, unknown, err := s.Finalize(id, campaign.Canceled); ended != 1 || unknown != 1 || err != nil {
		t.Errorf("%d canceled, %d unknown, want 1 and 1, %v", ended, unknown, err)
	}
}

// TestOptedOutAfterATimeout: the later messages of the contact are suppressed all the same.
func TestOptedOutAfterATimeout(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 1, messages: 2}, nil).ID
	attempted(t, s, id, 0, 1, campaign.Retrying, true)
	commit(t, s, entry(id, 0, 1, campaign.Suppressed, 1))
	wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Unknown: 1, campaign.Suppressed: 1})
}

// TestUncountedAttempts: an attempt that an outage or a throttle prevented doesn't raise the
// number of attempts, and many attempts are counted beyond what a status holds.
func TestUncountedAttempts(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 2}, nil).ID
	for range 20 {
		commit(t, s, entry(id, 0, 1, campaign.InFlight, 1))
		e := entry(id, 0, 1, campaign.Retrying, 0)
		e.NextAt = time.Now()
		commit(t, s, e)
	}
	for n := range 40 {
		attempted(t, s, id, 1, n+1, campaign.Retrying, false)
	}
	attempted(t, s, id, 1, 41, campaign.Failed, false)
	if err := s.EachChunk(id, func(_ *campaign.Rows, statuses []campaign.MessageStatus, entries []campaign.Entry) error {
		if len(entries) != 2 || entries[0].Attempts != 0 || entries[1].Attempts != 41 {
			t.Errorf("entries %+v, want 0 and 41 attempts", entries)
		}
		if statuses[0].Attempts() != 0 {
			t.Errorf("statuses[0].Attempts() = %v, want 0", statuses[0].Attempts())
		}
		if statuses[1].Attempts() != campaign.MaxAttempts {
			t.Errorf("statuses[1].Attempts() = %v, want %v", statuses[1].Attempts(), campaign.MaxAttempts)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	failed := 0
	if err := s.EachResult(id, func(_ time.Time, o campaign.Outcome) error {
		if o == campaign.Failed {
			failed++
		}
		return nil
	}); failed != 1 || err != nil {
		t.Errorf("%d failed, %v", failed, err)
	}
}

// TestCanceledDropCountsUnlessItReachedNobody (docs/contract.md 2).
func TestCanceledDropCountsUnlessItReachedNobody(t *testing.T) {
	for name, c := range map[string]struct {
		maybe, finalized, duplicate bool
	}{
		"refused connection": {false, true, false},
		"timeout":            {true, true, true},
		"not finalized yet":  {false, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			d := draft{rows: 2, digest: strings.Repeat("ab", 32)}
			first := accept(t, s, d, nil)
			attempted(t, s, first.ID, 0, 1, campaign.Retrying, c.maybe)
			if c.finalized {
				if _, _, err := s.Finalize(first.ID, campaign.Canceled); err != nil {
					t.Fatal(err)
				}
			}
			setState(t, s, first.ID, campaign.StateCanceled, "asked")
			_, err := s.Accept(begin(t, s, d), Terms{DuplicateWindow: time.Hour})
			if duplicate := errors.As(err, new(*DuplicateDrop)); duplicate != c.duplicate {
				t.Errorf("duplicate %t, want %t: %v", duplicate, c.duplicate, err)
			}
		})
	}
}
