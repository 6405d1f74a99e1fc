package send

import (
	"math"
	"time"
)

// idleTimeout ends a channel sender's workers that have no work.
const idleTimeout = 10 * time.Second

// allowance returns how many messages may be picked now.
func (cs *channelSender) allowance(mono, now time.Time, sleep *sleeper) int {
	if wait := cs.recorder.retryAt.Sub(mono); wait > 0 {
		sleep.atMost(min(wait, maxSleep))
		return 0
	}
	if open, until := cs.gate.windowOpen(now); !open {
		cs.waits.forWindow(now, until)
		sleep.atMost(min(max(until.Sub(now), time.Millisecond), maxSleep))
		return 0
	}
	if why := cs.bars(); why != "" {
		cs.waits.forLead(now, why)
		sleep.atMost(maxSleep)
		return 0
	}
	if cs.waits.forWorkers(now) {
		sleep.atMost(maxSleep)
		return 0
	}
	queued, held := cs.attempts.count(now)
	if due, early := cs.picker.due(now); !due && (!early || cs.limits.ahead(held) <= 0) {
		return 0
	}
	// Results that have arrived will be recorded in the same commit.
	unrecorded := cs.recorder.unrecorded.Load() - int64(cs.recorder.resultCount()+cs.deliverer.completed.wakeAt(math.MaxInt))
	n := cs.limits.unrecorded() - int(unrecorded)
	cs.waits.forChannel()
	allowed := cs.breaker.allows(mono, unrecorded)
	cs.probing = allowed == 1
	switch {
	case allowed == 0:
		if wait := cs.breaker.wait(mono); wait > 0 {
			sleep.atMost(min(wait, maxSleep))
		}
		return 0
	case allowed > 0:
		n = min(n, allowed)
	}
	if n <= 0 {
		sleep.atMost(maxSleep) // a result will wake the sender, but a slot may pass before
		return 0
	}
	tokens := cs.limiter.available(mono, queued)
	portion := cs.limiter.groupTokens()
	if tokens <= 0 || unrecorded > 0 && tokens < portion {
		if queued == 0 { // otherwise the token that they wait for wakes the sender
			sleep.atMost(min(cs.limiter.waitToMark(mono, portion), maxSleep))
		}
		return 0
	}
	if n = min(n, tokens); cs.limits.batch > 1 && unrecorded > 0 && n < min(cs.limits.commit(), tokens) {
		sleep.atMost(maxSleep)
		return 0
	}
	return n
}

// shouldCommit reports whether there is a group to commit now: n attempts may be picked, or
// results have arrived.
func (cs *channelSender) shouldCommit(n int, mono time.Time, sleep *sleeper) bool {
	good := cs.limits.commit()
	decided := cs.recorder.resultCount()
	if wait := cs.recorder.retryAt.Sub(mono); wait > 0 && cs.retryCtx.Err() == nil {
		cs.deliverer.completed.wakeAt(math.MaxInt)
		sleep.atMost(min(wait, maxSleep))
		return false
	}
	have := decided + cs.deliverer.completed.wakeAt(max(good-decided, 1))
	if have+n == 0 {
		cs.lingerSince = time.Time{}
		if cs.deliverer.completed.wakeAt(1) > 0 { // one arrived in between
			sleep.atMost(0)
		}
		return false
	}
	waiting, held := cs.attempts.count(cs.now())
	onTheWay := int(cs.recorder.unrecorded.Load()) - have - waiting - held
	if onTheWay <= 0 || have >= good || n >= min(good, cs.limiter.groupTokens()) {
		cs.lingerSince = time.Time{}
		return true
	}
	if cs.lingerSince.IsZero() {
		cs.lingerSince = mono
	}
	if wait := cs.linger() - mono.Sub(cs.lingerSince); wait > 0 {
		sleep.atMost(wait)
		return false
	}
	cs.lingerSince = time.Time{}
	return true
}

// linger returns how long results and attempts may wait for more, because a commit costs a sync
// whatever its size. It is short while no message waits for a worker.
func (cs *channelSender) linger() time.Duration {
	if cs.deliverer.pool.empty() {
		return time.Millisecond
	}
	return 4 * time.Millisecond
}

// idle stops the workers after idleTimeout.
func (cs *channelSender) idle(mono time.Time, sleep *sleeper) {
	if cs.recorder.unrecorded.Load() > 0 {
		return
	}
	if cs.idleSince.IsZero() {
		cs.idleSince = mono
	}
	if wait := idleTimeout - mono.Sub(cs.idleSince); wait > 0 {
		sleep.atMost(wait)
		return
	}
	cs.deliverer.pool.stopIdle()
}
