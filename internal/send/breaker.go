package send

import (
	"fmt"
	"sync"
	"time"
)

// valve is what can shut a lane: an answer that says that no message would fare
// better (a hold), or so many failures in a row that trying on would only use up
// the messages' attempts (trouble). A shut valve lets one message through
// when its time comes; that one's answer opens it or shuts it anew. It measures
// by the monotonic clock.
type circuitBreaker struct {
	mu      sync.Mutex // guards what follows
	open    bool
	held    bool // by an answer, else by trouble
	reason  string
	since   time.Time
	until   time.Time // one message may be tried from then on
	probing bool      // it is on its way
	streak  int       // failures in a row
	level   int       // how often in a row a probe met trouble
}

// longestTrouble is the longest wait between probes of a channel in trouble.
const maxProbeInterval = time.Minute

// allows is how many messages may be marked now: -1 for any number. unrecorded
// is how many are on their way already: a probe goes alone.
func (v *circuitBreaker) allows(now time.Time, unrecorded int64) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !v.open:
		return -1
	case v.probing || unrecorded > 0 || now.Before(v.until):
		return 0
	}
	return 1
}

// blocks reports whether what is marked already must not go out: the valve is shut, and it is no probe.
func (v *circuitBreaker) blocks() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open && !v.probing
}

// probe says that the one message that a shut valve allows has been marked.
func (v *circuitBreaker) probe() {
	v.mu.Lock()
	v.probing = v.open
	v.mu.Unlock()
}

// wait is how long until a probe may go; 0 if it may now, or the valve is open.
func (v *circuitBreaker) wait(now time.Time) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.open || !now.Before(v.until) {
		return 0
	}
	return v.until.Sub(now)
}

// hold shuts the valve for as long; true if it was not held before.
func (v *circuitBreaker) hold(now time.Time, reason string, again time.Duration) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	fresh := !v.open || !v.held
	if fresh {
		v.since = now
	}
	if fresh || v.probing {
		v.until = now.Add(again)
	}
	v.open, v.held, v.probing, v.streak = true, true, false, 0
	v.reason = reason
	return fresh
}

// failed notes a failure that says nothing of the message; true if it is the one
// that shuts the valve, after most in a row.
func (v *circuitBreaker) failed(now time.Time, reason string, most int, base, longest time.Duration) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.held {
		// The credentials are good again, so it seems, but something else isn't.
		if v.probing {
			v.probing, v.until = false, now.Add(base)
		}
		return false
	}
	if v.streak++; v.streak < most || v.open && !v.probing {
		return false
	}
	fresh := !v.open
	if fresh {
		v.since, v.level = now, 0
	}
	v.open, v.probing = true, false
	v.reason = fmt.Sprintf("%d failures in a row, the last: %s", v.streak, reason)
	wait := min(base<<min(v.level, 20), longest, maxProbeInterval)
	v.until = now.Add(max(wait, time.Millisecond))
	v.level++
	return fresh
}

// answered notes an answer that came from a channel that works; true if that
// opened the valve. A hold ends with its probe alone: other answers may be older than it.
func (v *circuitBreaker) succeeded() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.streak = 0
	if !v.open || v.held && !v.probing {
		return false
	}
	v.open, v.held, v.probing, v.reason, v.level = false, false, false, "", 0
	return true
}

// returned says that the probe came back unsent.
func (v *circuitBreaker) returned() {
	v.mu.Lock()
	v.probing = false
	v.mu.Unlock()
}

// release lets one message be tried at once; true if the valve was shut.
func (v *circuitBreaker) release(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open {
		v.until = now
	}
	return v.open
}

// status fills in what the valve knows.
func (v *circuitBreaker) status(s *ChannelStatus) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open {
		s.Held, s.Reason, s.Since, s.RetryAt = v.held, v.reason, v.since.UTC().Round(0), v.until.UTC().Round(0)
	}
}
