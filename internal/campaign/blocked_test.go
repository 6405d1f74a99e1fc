package campaign

import (
	"testing"
	"time"
)

// TestBlockedTime: pauses, closed windows and quotas delay the expiry by as long as they last, also
// where they overlap, and by at most 7 days.
func TestBlockedTime(t *testing.T) {
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	s := Sending{State: StateSending}
	want := func(hours int, blocked time.Duration) {
		t.Helper()
		if got := s.BlockedUntil(at(hours)); got != blocked {
			t.Errorf("blocked for %v after %d hours, want %v", got, hours, blocked)
		}
	}
	want(1, 0)
	s.SetBlocked(true, at(1))
	s.SetBlocked(true, at(2)) // another rule, while the first one still applies
	want(3, 2*time.Hour)
	s.State = StatePaused
	s.SetBlocked(false, at(4)) // the window opens, and the sending stays paused
	want(5, 4*time.Hour)
	s.State = StateSending
	s.SetBlocked(false, at(6))
	s.SetBlocked(false, at(7))
	want(8, 5*time.Hour)
	s.SetBlocked(true, at(10))
	s.SetBlocked(false, at(9)) // the clock was set back
	want(11, 5*time.Hour)
	s.SetBlocked(true, at(11))
	want(1000, 7*24*time.Hour)
}
