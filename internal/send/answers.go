package send

import (
	"slices"
	"sync"
	"time"
)

const (
	// noAnswerAfter is how long a receiver that usually answers fast must be silent before status says so.
	noAnswerAfter = 5 * time.Second
	// noAnswerTimes its usual time is how long another one must be.
	noAnswerTimes = 3
	// silenceEnds is the time after which a call that got no answer isn't joined to the next one.
	silenceEnds = 2 * maxProbeInterval
)

// Receiver is implemented by drivers that send to a host. Receiver returns its name, with the port if it isn't the
// usual one.
type Receiver interface {
	Receiver() string
}

// answerMeter knows since when a channel's receiver has answered nothing, although calls wait for it. It
// measures by the monotonic clock.
type answerMeter struct {
	mu    sync.Mutex    // guards the fields below
	calls int           // under way
	since time.Time     // of the last answer, or when the first call after it began, if none was under way
	heard bool          // no call has begun since the last answer
	ended time.Time     // when the last call ended
	usual time.Duration // of a call that is answered, smoothed
}

// begin notes that a call has begun.
func (m *answerMeter) begin(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == 0 && (m.heard || now.Sub(m.ended) > silenceEnds) {
		m.since = now
	}
	m.calls++
	m.heard = false
}

// answered notes that the receiver has answered a call that took so long.
func (m *answerMeter) answered(now time.Time, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since, m.heard = now, true
	m.usual += (took - m.usual) / 8
}

// end notes that a call has ended.
func (m *answerMeter) end(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = now
	m.calls--
}

// silent returns since when the receiver has answered nothing, if that is long. Between calls that got no
// answer it is silent, too.
func (m *answerMeter) silent(now time.Time) (since time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == 0 && (m.heard || now.Sub(m.ended) > silenceEnds) || now.Sub(m.since) < max(noAnswerAfter, noAnswerTimes*m.usual) {
		return time.Time{}, false
	}
	return m.since.UTC().Round(0), true
}

// isAnswer reports whether a result comes from the receiver's answer.
func (r *Result) isAnswer() bool {
	switch r.Verdict {
	case VerdictRetry, VerdictUnknown, VerdictUnreachable:
		return r.Code != ""
	}
	return r.Verdict < verdictReturned
}

// hasAnswer reports whether the receiver has answered any message.
func hasAnswer(results []Result) bool {
	return slices.ContainsFunc(results, func(r Result) bool { return r.isAnswer() })
}

// noAnswer says that the receiver is silent.
func (c *appChannel) noAnswer() string {
	driver := c.settings.Load().Channel
	if remote, ok := driver.(Remote); ok {
		driver = remote.Rules()
	}
	if named, ok := driver.(Receiver); ok {
		return "no answer from " + named.Receiver()
	}
	return "no answer from the receiver"
}
