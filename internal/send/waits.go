package send

import (
	"cmp"
	"fmt"
	"time"
)

// waits knows why a channel sender picks nothing, and tells the cursors. It belongs to the sender's
// loop.
type waits struct {
	*appChannel
	breaker      *circuitBreaker
	limits       *limits
	answers      *answerMeter
	reason       *Wait     // nil: it may pick
	workersSince time.Time // since when nothing can be handed out to workers
}

// forWindow notes that the sender waits for the sending windows to open.
func (w *waits) forWindow(now, opens time.Time) {
	if w.reason == nil || !w.reason.Until.Equal(opens) {
		w.reason = &Wait{Reason: "the sending windows are closed", Since: now, Until: opens}
	}
}

// forLead notes why this process may not hand anything over.
func (w *waits) forLead(now time.Time, why string) {
	if w.reason == nil || w.reason.Reason != why {
		w.reason = &Wait{Reason: why, Since: now}
	}
}

// forChannel notes that the sender waits for its channel, or that it doesn't.
func (w *waits) forChannel() {
	if !w.breaker.blocksOthers() {
		w.reason = nil
		return
	}
	var s ChannelStatus
	w.breaker.status(&s, time.Now())
	wait := Wait{Reason: fmt.Sprintf("channel %s is %s: %s", w.name, s.State.Describe(), s.Reason), Since: s.Since, Until: s.RetryAt}
	if w.reason == nil || *w.reason != wait {
		w.reason = &wait
	}
}

// forAnswer returns the wait for a receiver that answers nothing, or nil.
func (w *waits) forAnswer() *Wait {
	since, silent := w.answers.silent(time.Now())
	if !silent {
		return nil
	}
	return &Wait{Reason: fmt.Sprintf("channel %s: %s", w.name, w.noAnswer()), Since: since}
}

// publish publishes what a cursor waits for.
func (w *waits) publish(cur *sendingCursor) {
	cur.forgetFailure()
	wait := w.of(cur)
	if before := cur.wait.Load(); wait != before && (wait == nil || before == nil || *wait != *before) {
		cur.wait.Store(wait)
	}
}

func (w *waits) of(cur *sendingCursor) *Wait {
	switch now := w.now(); {
	case cur.finished:
		return nil
	case cur.backingOff:
		return &Wait{Reason: "its recipients can't be read from the store", Since: cur.failingSince}
	case cur.nextAt > 0 && cur.nextAt <= now.UnixNano():
		return cmp.Or(w.reason, w.forAnswer())
	case cur.inFlight > 0 && w.reason != nil && w.breaker.blocksOthers():
		return w.reason // its last message is the probe of a channel in trouble, or an answer is being recorded
	case cur.inFlight > 0:
		return w.forAnswer()
	case cur.lastFailure == "" || cur.nextAt == 0 || cur.queue.next() != cur.nextAt:
		return nil // it doesn't wait, or for its own time
	}
	return &Wait{Reason: fmt.Sprintf("channel %s: %s", w.name, tryingAgain(cur.lastFailure)),
		Since: cur.failingSince, Until: time.Unix(0, cur.nextAt).UTC()}
}

// forWorkers reports whether nothing can be handed out, and notes why.
func (w *waits) forWorkers(now time.Time) bool {
	why := w.limits.workers.Reason()
	if w.limits.remote == nil || why == "" {
		w.workersSince = time.Time{}
		return false
	}
	if w.workersSince.IsZero() {
		w.workersSince = now
	}
	reason := fmt.Sprintf("channel %s: %s", w.name, why)
	if w.reason == nil || w.reason.Reason != reason {
		w.reason = &Wait{Reason: reason, Since: w.workersSince}
	}
	return true
}
