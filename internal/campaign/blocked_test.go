package campaign

import (
	"testing"
	"time"
)

// TestBlockedTime: pauses, closed windows and quotas count for as long as they last, also where they overlap. plan.Expiry limits them.
func TestBlockedTime(t *testing.T) {
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	s := Sending{State: StateSending}
	want := func(blocked time.Duration) {
		t.Helper()
		if s.Blocked != blocked {
			t.Errorf("blocked for %v, want %v", s.Blocked, blocked)
		}
	}
	s.SetBlocked(true, at(1))
	s.SetBlocked(true, at(2)) // another rule, while the first one still applies
	s.State = StatePaused
	s.SetBlocked(false, at(4)) // the window opens, and the sending stays paused
	want(0)
	s.State = StateSending
	s.SetBlocked(false, at(6))
	want(5 * time.Hour)
	s.SetBlocked(false, at(7))
	want(5 * time.Hour)
	s.SetBlocked(true, at(10))
	s.SetBlocked(false, at(9)) // the clock was set back
	want(5 * time.Hour)
}
