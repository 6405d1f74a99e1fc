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
func (b *circuitBreaker) allows(now time.Time, unrecorded int64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return -1
	case b.probing || unrecorded > 0 || now.Before(b.until):
		return 0
	}
	return 1
}

// blocks reports whether what is marked already must not go out: the valve is shut, and it is no probe.
func (b *circuitBreaker) blocks() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && !b.probing
}

// probe says that the one message that a shut valve allows has been marked.
func (b *circuitBreaker) probe() {
	b.mu.Lock()
	b.probing = b.open
	b.mu.Unlock()
}

// wait is how long until a probe may go; 0 if it may now, or the valve is open.
func (b *circuitBreaker) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open || !now.Before(b.until) {
		return 0
	}
	return b.until.Sub(now)
}

// hold shuts the valve for as long; true if it was not held before.
func (b *circuitBreaker) hold(now time.Time, reason string, again time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := !b.open || !b.held
	if fresh {
		b.since = now
	}
	if fresh || b.probing {
		b.until = now.Add(again)
	}
	b.open, b.held, b.probing, b.streak = true, true, false, 0
	b.reason = reason
	return fresh
}

// failed notes a failure that says nothing of the message; true if it is the one
// that shuts the valve, after most in a row.
func (b *circuitBreaker) failed(now time.Time, reason string, most int, base, longest time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		// The credentials are good again, so it seems, but something else isn't.
		if b.probing {
			b.probing, b.until = false, now.Add(base)
		}
		return false
	}
	if b.streak++; b.streak < most || b.open && !b.probing {
		return false
	}
	fresh := !b.open
	if fresh {
		b.since, b.level = now, 0
	}
	b.open, b.probing = true, false
	b.reason = fmt.Sprintf("%d failures in a row, the last: %s", b.streak, reason)
	wait := min(base<<min(b.level, 20), longest, maxProbeInterval)
	b.until = now.Add(max(wait, time.Millisecond))
	b.level++
	return fresh
}

// answered notes an answer that came from a channel that works; true if that
// opened the valve. A hold ends with its probe alone: other answers may be older than it.
func (b *circuitBreaker) succeeded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streak = 0
	if !b.open || b.held && !b.probing {
		return false
	}
	b.open, b.held, b.probing, b.reason, b.level = false, false, false, "", 0
	return true
}

// returned says that the probe came back unsent.
func (b *circuitBreaker) returned() {
	b.mu.Lock()
	b.probing = false
	b.mu.Unlock()
}

// release lets one message be tried at once; true if the valve was shut.
func (b *circuitBreaker) release(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		b.until = now
	}
	return b.open
}

// status fills in what the valve knows.
func (b *circuitBreaker) status(s *ChannelStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		s.Held, s.Reason, s.Since, s.RetryAt = b.held, b.reason, b.since.UTC().Round(0), b.until.UTC().Round(0)
	}
}
