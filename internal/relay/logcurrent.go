package relay

import (
	"time"

	"campaignd/internal/store"
)

// FollowState says how a copy is doing.
type FollowState struct {
	Position store.Position // of the copy; zero: there is none yet
	Behind   uint64         // write sets in the log that it lacks
	At       time.Time      // when it last had everything; zero: never
	Complete bool           // it continues the log: a takeover loses nothing
	Problem  string         // why it can't follow now
	Base     float64        // part of a base received so far, from 0 to 1; 0: none is being received
}

// Lag returns for how long the copy hasn't had everything. While nothing new comes it looks at the log
// every readPoll, so that At is never quite now.
func (s *FollowState) Lag() time.Duration {
	lag := time.Since(s.At)
	if s.At.IsZero() || s.Behind == 0 && lag < 3*readPoll {
		return 0
	}
	return lag
}

// currency finds out when a copy had everything, though new messages come while it applies others.
type currency struct {
	taken uint64    // messages
	end   uint64    // taken once the copy has what the log had at seen
	seen  time.Time // zero: no such time is waited for
}

// take notes a message that arrives while the log has further ones.
func (c *currency) take(pending uint64, now time.Time) {
	c.taken++
	if c.seen.IsZero() || pending == 0 {
		c.end, c.seen = c.taken+pending, now
	}
}

// applied returns a time at which the log had no more than what was taken by now, zero if there is none since
// the last call.
func (c *currency) applied() (at time.Time) {
	if c.taken < c.end {
		return at
	}
	at, c.seen = c.seen, at
	return at
}
