package send

import (
	"context"
	"math"
	"time"
)

// glance is how long a lane or the scheduler sleeps at most while something waits
// for a time of day: the wall clock may have jumped meanwhile (PITFALLS 19).
const maxSleep = time.Second

// roomFactor times concurrency messages may be marked without their result
// recorded where unknown ones are resent: one share with the receiver, one on its
// way to it or into the books, so that no worker waits for a sync. Of a receiver that
// answers faster than that, as many more lie ready as it answers in commitsAhead commits,
// up to wideRoom; of a slow one no more, for whoever comes next would wait behind them.
// fullGroup results are worth a commit, which costs the same for 200 as for 60; it doesn't
// wait for more, since what waits was delivered and is delivered again after a crash.
const (
	recordedPerWorker = 2
	commitsAhead      = 16
	maxUnrecorded     = 1024
	fullCommit        = 256
)

// rest is after how long without work a lane lets its workers go.
const idleTimeout = 10 * time.Second

// room is how many messages may be marked without their result recorded. With
// a crash they are what no one can tell, so with on_unknown: hold it is no
// more than can be under way.
func (l *channelSender) unrecordedLimit() int {
	concurrency := int(l.limit.Load())
	switch {
	case l.batchSize() > 1 && l.settings.Load().OnUnknown == RetryUnknown:
		return max(fewBatches, min(manyBatches, recordedPerWorker*concurrency)) * l.batchSize()
	case l.batchSize() > 1:
		return fewBatches * l.batchSize()
	case l.settings.Load().OnUnknown == RetryUnknown:
		room := recordedPerWorker * concurrency
		return max(room, min(room+l.limiter.callsDuring(commitsAhead, concurrency), maxUnrecorded))
	}
	return concurrency
}

// worthwhile is the size of a group that is worth a commit without waiting for
// more: a quarter of the room of a batch driver, so that one is in the books, one
// with the driver and one between them; else half of it, or a full group.
func (l *channelSender) commitTarget() int {
	if b := l.batchSize(); b > 1 {
		return max(b, l.unrecordedLimit()/4)
	}
	return max(int(l.limit.Load()), min(l.unrecordedLimit()/2, fullCommit))
}

// step does all that can be done now. It returns how long to sleep unless woken;
// not ok: until woken.
func (l *channelSender) step(ctx context.Context) (wait time.Duration, ok bool) {
	sleep := sleeper{}
	mono, now := time.Now(), l.d.now()
	n := 0
	switch {
	case ctx.Err() != nil:
		l.returnQueued()
	case len(l.cursors) == 0:
		l.handOver(mono, now, &sleep)
		l.idle(mono, &sleep)
	default:
		l.handOver(mono, now, &sleep)
		l.idleSince = time.Time{}
		if l.refresh(now, mono) {
			sleep.atMost(maxSleep)
		}
		l.setPickUntil(now)
		n = l.allowance(mono, now, &sleep)
	}
	if l.shouldCommit(n, mono, &sleep) {
		if !l.recordGroup(ctx, n, now, mono, &sleep) {
			return sleep.result()
		}
		l.handOver(time.Now(), l.d.now(), &sleep)
		l.group.reset()
		l.prune()
		if l.progressed || n == 0 {
			return 0, true // there may be more at once
		}
	}
	l.sleepUntilDue(mono, now, &sleep)
	l.prune()
	return sleep.result()
}

// linger is how long results and attempts may wait for more to join them while
// more are sure to come: a commit costs a sync whatever its size. It is short
// while no message waits for a worker.
func (l *channelSender) linger() time.Duration {
	if l.workers.empty() {
		return time.Millisecond
	}
	return 4 * time.Millisecond
}

// worthIt reports whether there is a group to commit now: n attempts may be
// picked, or results have come in.
func (l *channelSender) shouldCommit(n int, mono time.Time, sleep *sleeper) bool {
	good := l.commitTarget()
	decided := l.resultCount()
	if wait := l.commitAfter.Sub(mono); wait > 0 && l.d.retryCtx.Err() == nil {
		l.completed.wakeAt(math.MaxInt)
		sleep.atMost(min(wait, maxSleep))
		return false
	}
	have := decided + l.completed.wakeAt(max(good-decided, 1))
	if have+n == 0 {
		l.lingerSince = time.Time{}
		if l.completed.wakeAt(1) > 0 { // one came between the two looks
			sleep.atMost(0)
		}
		return false
	}
	waiting, held := l.inQueue(l.d.now())
	onTheWay := int(l.unrecorded.Load()) - have - waiting - held
	if onTheWay <= 0 || have >= good || n >= min(good, l.limiter.groupTokens()) {
		l.lingerSince = time.Time{}
		return true
	}
	if l.lingerSince.IsZero() {
		l.lingerSince = mono
	}
	if wait := l.linger() - mono.Sub(l.lingerSince); wait > 0 {
		sleep.atMost(wait)
		return false
	}
	l.lingerSince = time.Time{}
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

// idle lets the workers go after a while.
func (l *channelSender) idle(mono time.Time, sleep *sleeper) {
	if l.unrecorded.Load() > 0 {
		return
	}
	if l.idleSince.IsZero() {
		l.idleSince = mono
	}
	if wait := idleTimeout - mono.Sub(l.idleSince); wait > 0 {
		sleep.atMost(wait)
		return
	}
	l.workers.stopIdle()
}

// refresh has the feeds look again whose plan has changed, whose time has come or
// whose slot has passed, and has those be sliced again; true if one waits for that.
func (l *channelSender) refresh(now, mono time.Time) bool {
	waits := false
	for _, f := range l.cursors {
		if f.slices != f.run.slices.Load() || f.nextAt > 0 && f.nextAt <= now.UnixNano() ||
			f.backingOff && !mono.Before(f.retryReadAt) || f.cursorPassed(l, now) {
			l.lookup(f, now)
		}
		if f.slotPassed {
			waits = true
			l.d.replan(f.run, l.pacing.grid)
		}
	}
	return waits
}

// cursorPassed reports whether a slot that is not done with has passed.
func (f *sendingCursor) cursorPassed(l *channelSender, now time.Time) bool {
	for i := range f.sliceCursors {
		if f.passed(l, &f.sliceCursors[i], now) {
			return !f.slotPassed
		}
	}
	return false
}

// want is how many messages may be marked now, by every limit there is.
func (l *channelSender) allowance(mono, now time.Time, sleep *sleeper) int {
	if wait := l.commitAfter.Sub(mono); wait > 0 {
		sleep.atMost(min(wait, maxSleep))
		return 0
	}
	if open, until := l.window.open(now); !open {
		sleep.atMost(min(max(until.Sub(now), time.Millisecond), maxSleep))
		return 0
	}
	if !l.anyDue(now) || l.pickUntil > now.UnixNano() && !l.dueBy(now) && l.prerecordLimit() <= 0 {
		return 0
	}
	// The results that lie there will be recorded in the same commit.
	unrecorded := l.unrecorded.Load() - int64(l.resultCount()+l.completed.wakeAt(math.MaxInt))
	n := l.unrecordedLimit() - int(unrecorded)
	allowed := l.breaker.allows(mono, unrecorded)
	l.probing = allowed == 1
	switch {
	case allowed == 0:
		if wait := l.breaker.wait(mono); wait > 0 {
			sleep.atMost(min(wait, maxSleep))
		}
		return 0
	case allowed > 0:
		n = min(n, allowed)
	}
	if n <= 0 {
		sleep.atMost(maxSleep) // a result will wake the lane, but a slot may pass before
		return 0
	}
	queued, _ := l.inQueue(now)
	tokens := l.limiter.available(mono, queued)
	portion := l.limiter.groupTokens()
	if tokens <= 0 || unrecorded > 0 && tokens < portion {
		if queued == 0 { // else the token that those wait for wakes the lane
			sleep.atMost(min(l.limiter.waitToMark(mono, portion), maxSleep))
		}
		return 0
	}
	if n = min(n, tokens); l.batchSize() > 1 && unrecorded > 0 && n < min(l.commitTarget(), tokens) {
		sleep.atMost(maxSleep)
		return 0
	}
	return n
}

// anyDue reports whether a feed has something that may be picked.
func (l *channelSender) anyDue(now time.Time) bool {
	for _, f := range l.cursors {
		if f.mayGo(l, now) {
			return true
		}
	}
	return false
}

// dueBy reports whether a feed has something whose time has come.
func (l *channelSender) dueBy(now time.Time) bool {
	for _, f := range l.cursors {
		if f.mayGo(l, now) && f.nextAt <= now.UnixNano() {
			return true
		}
	}
	return false
}

// markGroup picks up to n messages and has their attempts recorded, and the
// results that lie there; false if the books don't take them. Then nothing is
// sent, and it is tried again later.
func (l *channelSender) recordGroup(ctx context.Context, n int, now, mono time.Time, sleep *sleeper) bool {
	l.gate.RLock()
	if l.progressed = false; n > 0 {
		l.pickAll(n, now)
	}
	err := l.commit(ctx)
	l.gate.RUnlock()
	l.releaseChunks()
	if err != nil {
		l.d.storeFailed("record attempts and results", err)
		wait := min(100*time.Millisecond<<min(l.commitFailures, 10), 10*time.Second)
		l.commitFailures++
		l.commitAfter = mono.Add(wait)
		sleep.atMost(min(wait, maxSleep))
		if l.d.retryCtx.Err() != nil && len(l.results) > 0 {
			l.d.resultsLost.Store(true)
			l.releaseResults()
		}
		return false
	}
	if l.commitFailures > 0 {
		l.commitFailures = 0
		l.d.storeRecovered()
	}
	if l.group.count > 0 {
		l.pickedAt = mono
		if l.probing {
			l.breaker.probe()
		}
	}
	if len(l.cursors) > manyCursors {
		for _, f := range l.cursors {
			f.dropChunks(l)
		}
	}
	return true
}

// due adds to the sleep the time until the first feed has something to do.
func (l *channelSender) sleepUntilDue(mono, now time.Time, sleep *sleeper) {
	first := int64(math.MaxInt64)
	for _, f := range l.cursors {
		if f.backingOff {
			sleep.atMost(maxSleep)
			continue
		}
		if f.budgetSpent {
			sleep.atMost(0)
			return
		}
		if f.nextAt > 0 && f.nextAt < first {
			first = f.nextAt
		}
	}
	if first == math.MaxInt64 {
		return
	}
	wait := time.Duration(first - now.UnixNano())
	if wait <= 0 {
		return // something else than time keeps it, and that wakes the lane
	}
	if early := wait - l.lead()/2; early > 0 {
		wait = early // else it could not be marked ahead of its time
	}
	wait = max(wait, minGap-mono.Sub(l.pickedAt))
	sleep.atMost(min(wait, maxSleep))
}
