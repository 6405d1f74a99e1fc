package relay

import (
	"testing"
	"testing/synctest"
	"time"
)

// While sets come without a pause, the log always has one more than the copy. It isn't behind by more for that.
func TestLagGrowsWhileTheCopyKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c currency
		s := FollowState{At: time.Now(), Behind: 1}
		for range 1000 {
			c.take(1, time.Now())
			time.Sleep(10 * time.Millisecond)
			if at := c.applied(); !at.IsZero() {
				s.At = at
			}
		}
		if lag := s.Lag(); lag > 50*time.Millisecond {
			t.Errorf("the copy is behind by %s, want at most 50ms", lag)
		}
	})
}

func TestLagOfACopyThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c currency
		c.take(5, time.Now())
		if at := c.applied(); !at.IsZero() {
			t.Errorf("the copy had everything at %s, want never: the log has 5 more", at)
		}
		c.take(0, time.Now())
		s := FollowState{At: c.applied()}
		if s.Lag() != 0 {
			t.Errorf("lag is %s, want 0", s.Lag())
		}
		time.Sleep(10 * time.Second) // no look at the log succeeds
		if s.Lag() != 10*time.Second {
			t.Errorf("lag is %s, want 10s", s.Lag())
		}
	})
}
