package send

import (
	"context"
	"math"
	"time"
)

// maxSleep limits the sleep of a channel sender or the scheduler while something waits for
// a time of day, because the wall clock may have jumped meanwhile.
const maxSleep = time.Second

// idleTimeout ends a channel sender's workers that have no work.
const idleTimeout = 10 * time.Second

// step does everything that can be done now. It returns how long to sleep; not ok means until
// woken.
func (cs *channelSender) step(ctx context.Context) (wait time.Duration, ok bool) {
	sleep := sleeper{}
	mono, now := time.Now(), cs.now()
	n := 0
	cs.limits.followWorkers()
	switch {
	case ctx.Err() != nil:
		cs.attempts.returnAll()
	case len(cs.cursors) == 0:
		cs.attempts.release(mono, now, &sleep)
		cs.idle(mono, &sleep)
	default:
		cs.attempts.release(mono, now, &sleep)
		cs.idleSince = time.Time{}
		if cs.refresh(now, mono) {
			sleep.atMost(maxSleep)
		}
		cs.setPickUntil(now)
		n = cs.allowance(mono, now, &sleep)
	}
	if cs.shouldCommit(n, mono, &sleep) {
		if !cs.recordGroup(ctx, n, now, mono, &sleep) {
			return sleep.result()
		}
		cs.attempts.release(time.Now(), cs.now(), &sleep)
		cs.group.reset()
		cs.prune()
		if cs.progressed || n == 0 {
			return 0, true // there may be more at once
		}
	}
	cs.sleepUntilDue(mono, now, &sleep)
	cs.prune()
	return sleep.result()
}

// linger returns how long results and attempts may wait for more, because a commit costs a sync
// whatever its size. It is short while no message waits for a worker.
func (cs *channelSender) linger() time.Duration {
	if cs.deliverer.pool.empty() {
		return time.Millisecond
	}
	return 4 * time.Millisecond
}

// shouldCommit reports whether there is a group to commit now: n attempts may be picked, or
// results have arrived.
func (cs *channelSender) shouldCommit(n int, mono time.Time, sleep *sleeper) bool {
	good := cs.limits.commit()
	decided := cs.resultCount()
	if wait := cs.commitAfter.Sub(mono); wait > 0 && cs.retryCtx.Err() == nil {
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
	onTheWay := int(cs.unrecorded.Load()) - have - waiting - held
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

// sleeper finds the shortest of several sleeps.
type sleeper struct {
	d   time.Duration
	set bool
}

func (s *sleeper) atMost(d time.Duration) {
	if !s.set || d < s.d {
		s.d, s.set = d, true
	}
}

func (s *sleeper) result() (time.Duration, bool) { return max(s.d, time.Microsecond), s.set }

// idle stops the workers after idleTimeout.
func (cs *channelSender) idle(mono time.Time, sleep *sleeper) {
	if cs.unrecorded.Load() > 0 {
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

// refresh looks again at cursors with a new plan, with something due or with a slot that has
// passed, and has the latter planned again. It returns true if one waits for a new plan.
func (cs *channelSender) refresh(now, mono time.Time) bool {
	waits := false
	for _, cur := range cs.cursors {
		if cur.slices != cur.run.slices.Load() || cur.nextAt > 0 && cur.nextAt <= now.UnixNano() ||
			cur.backingOff && !mono.Before(cur.retryReadAt) || cur.cursorPassed(cs, now) {
			cs.lookup(cur, now)
		}
		if cur.slotPassed {
			waits = true
			cs.d.replan(cur.run, cs.pacing.grid)
		}
	}
	return waits
}

// cursorPassed reports whether a slot that isn't finished has passed.
func (cur *sendingCursor) cursorPassed(cs *channelSender, now time.Time) bool {
	for i := range cur.sliceCursors {
		if cur.passed(cs, &cur.sliceCursors[i], now) {
			return !cur.slotPassed
		}
	}
	return false
}

// allowance returns how many messages may be picked now.
func (cs *channelSender) allowance(mono, now time.Time, sleep *sleeper) int {
	if wait := cs.commitAfter.Sub(mono); wait > 0 {
		sleep.atMost(min(wait, maxSleep))
		return 0
	}
	if open, until := cs.gate.windowOpen(now); !open {
		cs.waitForWindow(now, until)
		sleep.atMost(min(max(until.Sub(now), time.Millisecond), maxSleep))
		return 0
	}
	if why := cs.bars(); why != "" {
		cs.waitForLead(now, why)
		sleep.atMost(maxSleep)
		return 0
	}
	if cs.waitForWorkers(now) {
		sleep.atMost(maxSleep)
		return 0
	}
	queued, held := cs.attempts.count(now)
	if !cs.anyDue(now) || cs.pickUntil > now.UnixNano() && !cs.dueBy(now) && cs.limits.ahead(held) <= 0 {
		return 0
	}
	// Results that have arrived will be recorded in the same commit.
	unrecorded := cs.unrecorded.Load() - int64(cs.resultCount()+cs.deliverer.completed.wakeAt(math.MaxInt))
	n := cs.limits.unrecorded() - int(unrecorded)
	cs.waitForChannel()
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

// anyDue reports whether a cursor has something that may be picked.
func (cs *channelSender) anyDue(now time.Time) bool {
	for _, cur := range cs.cursors {
		if cur.mayGo(cs, now) {
			return true
		}
	}
	return false
}

// dueBy reports whether a cursor has a message whose time has come.
func (cs *channelSender) dueBy(now time.Time) bool {
	for _, cur := range cs.cursors {
		if cur.mayGo(cs, now) && cur.nextAt <= now.UnixNano() {
			return true
		}
	}
	return false
}

// recordGroup picks up to n messages and records their attempts together with the results that
// have arrived. It returns false if the store fails; then nothing is sent and the commit is tried
// again later.
func (cs *channelSender) recordGroup(ctx context.Context, n int, now, mono time.Time, sleep *sleeper) bool {
	cs.gate.enter()
	if cs.progressed = false; n > 0 {
		_, held := cs.attempts.count(cs.now())
		cs.pickAll(n, cs.limits.ahead(held), now)
	}
	err := cs.commit(ctx)
	cs.gate.leave()
	cs.releaseChunks()
	if err != nil {
		cs.storeFailed("record attempts and results", err)
		wait := min(100*time.Millisecond<<min(cs.commitFailures, 10), 10*time.Second)
		cs.commitFailures++
		cs.commitAfter = mono.Add(wait)
		sleep.atMost(min(wait, maxSleep))
		if cs.retryCtx.Err() != nil && len(cs.results) > 0 {
			cs.resultsLost.Store(true)
			cs.releaseResults()
		}
		return false
	}
	if cs.commitFailures > 0 {
		cs.commitFailures = 0
		cs.storeRecovered()
	}
	if cs.group.count > 0 {
		cs.pickedAt = mono
		if cs.probing {
			cs.breaker.probe()
		}
	}
	if len(cs.cursors) > manyCursors {
		for _, cur := range cs.cursors {
			cur.dropChunks(cs)
		}
	}
	return true
}

// sleepUntilDue limits the sleep to the time when the first cursor has something to do.
func (cs *channelSender) sleepUntilDue(mono, now time.Time, sleep *sleeper) {
	first := int64(math.MaxInt64)
	for _, cur := range cs.cursors {
		if cur.backingOff {
			sleep.atMost(maxSleep)
			continue
		}
		if cur.budgetSpent {
			sleep.atMost(0)
			return
		}
		if cur.nextAt > 0 && cur.nextAt < first {
			first = cur.nextAt
		}
	}
	if first == math.MaxInt64 {
		return
	}
	wait := time.Duration(first - now.UnixNano())
	if wait <= 0 {
		return // it waits for something that wakes the sender
	}
	if early := wait - cs.limits.lead()/2; early > 0 {
		wait = early // otherwise it could not be recorded before its time
	}
	wait = max(wait, minGap-mono.Sub(cs.pickedAt))
	sleep.atMost(min(wait, maxSleep))
}
