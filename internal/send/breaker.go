package send

import (
	"fmt"
	"sync"
	"time"
)

// ChannelState says whether a channel sends, and if not, why (docs/contract.md 8).
type ChannelState string

// The states of a channel.
const (
	ChannelOK        ChannelState = "ok"
	ChannelTrouble   ChannelState = "trouble"   // attempts fail: one message at a time is tried
	ChannelThrottled ChannelState = "throttled" // the receiver asked to wait
	ChannelHeld      ChannelState = "held"      // an answer rejected every message, e.g. bad credentials
)

// circuitBreaker stops a channel while its receiver rejects every message, throttles, or
// fails. An open breaker lets one message through when its time comes, the probe; the
// probe's answer closes it or keeps it open. It measures by the monotonic clock.
type circuitBreaker struct {
	mu      sync.Mutex // guards the fields below
	state   ChannelState
	reason  string
	since   time.Time
	until   time.Time // the probe may be sent from then on
	probing bool      // the probe is on its way
	ownRule bool      // a rule of our own holds the channel
	level   int       // failed probes in a row

	failures    int       // failures in a row
	unreachable int       // of these, attempts in a row that certainly left the receiver without the message
	deferred    int       // of these, VerdictDeferred
	noEndpoint  int       // VerdictNoEndpoint in a row
	lastFailure string    // detail of the last failure, "" after a success
	failedSince time.Time // first failure in the row
}

const (
	// maxProbeInterval is the longest wait between probes of a channel in trouble.
	maxProbeInterval = time.Minute
	// minProbeInterval is the first wait of a throttle without Retry-After, and of a channel
	// whose endpoint is missing.
	minProbeInterval = time.Second
	// maxUnreachable attempts in a row that certainly left the receiver without the message, or as
	// many answers that nothing is at its address, put the channel in trouble.
	maxUnreachable = 3
)

// isOpen reports whether the breaker is open. b.mu is held.
func (b *circuitBreaker) isOpen() bool { return b.state != "" && b.state != ChannelOK }

// allows returns how many messages may be recorded now: -1 for any number. unrecorded is
// how many are on their way: a probe goes alone.
func (b *circuitBreaker) allows(now time.Time, unrecorded int64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.isOpen():
		return -1
	case b.probing || unrecorded > 0 || now.Before(b.until):
		return 0
	}
	return 1
}

// blocks reports whether recorded attempts must not go out: the breaker is open, and none
// of them is the probe.
func (b *circuitBreaker) blocks() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isOpen() && !b.probing
}

// blocksOthers reports whether the breaker is open, so that nothing but a probe goes out.
func (b *circuitBreaker) blocksOthers() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isOpen()
}

// suspects reports whether the messages that failed last may be the reason themselves, because the receiver
// got nothing to answer. Then others are the next probes.
func (b *circuitBreaker) suspects() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isOpen() && b.unreachable > 0
}

// isProbing reports whether the probe is on its way. Then nothing else is.
func (b *circuitBreaker) isProbing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.probing
}

// probe notes that the probe's attempt has been recorded.
func (b *circuitBreaker) probe() {
	b.mu.Lock()
	b.probing = b.isOpen()
	b.mu.Unlock()
}

// wait returns how long until the probe may be sent, 0 if it may now or the breaker is closed.
func (b *circuitBreaker) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.isOpen() || !now.Before(b.until) {
		return 0
	}
	return b.until.Sub(now)
}

// open opens the breaker in a state until the given time. It returns true if it was not in
// that state before. b.mu is held.
func (b *circuitBreaker) open(state ChannelState, now, until time.Time, reason string) bool {
	fresh := b.state != state
	if fresh {
		b.since = now
	}
	if fresh || b.probing || until.After(b.until) {
		b.until = until
	}
	b.state, b.reason, b.probing, b.ownRule = state, reason, false, false
	return fresh
}

// hold opens the breaker because an answer rejected every message. It returns true if the
// channel was not held before.
func (b *circuitBreaker) hold(now time.Time, res *Result, again time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resetCounts()
	fresh := b.open(ChannelHeld, now, now.Add(again), quoted(res.Detail, res.Said))
	b.ownRule = res.OwnRule
	return fresh
}

// throttle opens the breaker for as long as the receiver asked (0: a back-off). It returns
// true if the channel was not throttled before; then its rate is halved. The probe goes at until.
func (b *circuitBreaker) throttle(now time.Time, reason string, asked time.Duration) (fresh bool, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == ChannelHeld && !b.probing {
		return false, b.until
	}
	if b.state != ChannelThrottled {
		b.level = 0
	}
	wait := min(asked, maxRetryAfter)
	if wait <= 0 {
		wait = min(minProbeInterval<<min(b.level, 20), maxProbeInterval)
	}
	if b.state != ChannelThrottled || b.probing {
		b.level++
	}
	b.resetCounts()
	fresh = b.open(ChannelThrottled, now, now.Add(wait), reason)
	return fresh, b.until
}

// failed notes a failure that doesn't concern the message alone. It returns true if it puts
// the channel in trouble: after limit failures in a row, or maxUnreachable attempts that
// certainly left the receiver without the message.
func (b *circuitBreaker) failed(now time.Time, res *Result, limit int, base, longest time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lastFailure == "" {
		b.failedSince = now
	}
	b.lastFailure = quoted(res.Detail, res.Said)
	b.failures++
	if res.Verdict == VerdictDeferred {
		b.deferred++
	}
	if b.unreachable++; res.Verdict != VerdictUnreachable && !res.Unwritten {
		b.unreachable = 0
	}
	if b.state == ChannelHeld || b.state == ChannelThrottled {
		// Only the probe's answer counts: the receiver accepts us again, but fails.
		if !b.probing {
			return false
		}
	} else if !b.isOpen() && b.failures < limit && b.unreachable < maxUnreachable || b.isOpen() && !b.probing {
		return false
	}
	return b.trouble(now, inARow(b.failures, "failures in a row", b.lastFailure), base, longest)
}

// trouble opens the breaker, or keeps it open for longer. b.mu is held.
func (b *circuitBreaker) trouble(now time.Time, reason string, base, longest time.Duration) bool {
	if b.state != ChannelTrouble {
		b.level = 0
	}
	wait := max(min(base<<min(b.level, 20), longest, maxProbeInterval), time.Millisecond)
	b.level++
	fresh := b.open(ChannelTrouble, now, now.Add(wait), reason)
	if fresh && !b.failedSince.IsZero() {
		b.since = b.failedSince
	}
	return fresh
}

// missing notes an answer that nothing is at the channel's address. It returns true if it
// puts the channel in trouble.
func (b *circuitBreaker) missing(now time.Time, reason string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.noEndpoint++; b.noEndpoint < maxUnreachable && !b.probing || b.isOpen() && !b.probing {
		return false
	}
	if b.lastFailure == "" {
		b.lastFailure, b.failedSince = reason, now
	}
	return b.trouble(now, inARow(b.noEndpoint, "answers in a row say that nothing is at the channel's address", reason),
		minProbeInterval, maxProbeInterval)
}

// inARow returns the reason of a channel in trouble after n failures. A failed probe of a channel that was held
// or throttled may be the only one.
func inARow(n int, what, last string) string {
	if n == 1 {
		return last
	}
	return fmt.Sprintf("%d %s, the last: %s", n, what, last)
}

// succeeded notes an answer of a channel that works. It returns true if that closed the
// breaker. Only the probe's answer closes a hold or a throttle: others may be older.
func (b *circuitBreaker) succeeded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resetCounts()
	if !b.isOpen() || b.state != ChannelTrouble && !b.probing {
		return false
	}
	b.state, b.probing, b.reason, b.level, b.ownRule = ChannelOK, false, "", 0, false
	return true
}

// resetCounts forgets the failures in a row. b.mu is held.
func (b *circuitBreaker) resetCounts() {
	b.failures, b.unreachable, b.deferred, b.noEndpoint, b.lastFailure, b.failedSince = 0, 0, 0, 0, "", time.Time{}
}

// answered notes an answer that shows that the receiver works, but not that it accepts messages.
func (b *circuitBreaker) answered() {
	b.mu.Lock()
	b.failures, b.unreachable, b.deferred = 0, 0, 0
	b.mu.Unlock()
}

// returned notes that the probe came back unsent.
func (b *circuitBreaker) returned() {
	b.mu.Lock()
	b.probing = false
	b.mu.Unlock()
}

// ownRuleHolds reports whether a rule of our own holds the channel.
func (b *circuitBreaker) ownRuleHolds() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ownRule
}

// release lets a probe be sent at once. It returns true if the breaker was open.
func (b *circuitBreaker) release(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOpen() {
		b.until = now
	}
	return b.isOpen()
}

// status fills in what the breaker knows. A channel whose latest attempts failed is in
// trouble before its breaker opens, unless all of them were deferred: the messages may be the reason.
func (b *circuitBreaker) status(s *ChannelStatus, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.State, s.LastError = ChannelOK, b.lastFailure
	switch {
	case b.isOpen():
		s.State, s.Reason, s.Since = b.state, b.reason, b.since.UTC().Round(0)
		if b.until.After(now) {
			s.RetryAt = b.until.UTC().Round(0)
		}
	case b.failures > b.deferred:
		s.State, s.Reason, s.Since = ChannelTrouble, b.lastFailure, b.failedSince.UTC().Round(0)
	}
	s.Held = s.State == ChannelHeld
	s.OwnRule = s.Held && b.ownRule
}
