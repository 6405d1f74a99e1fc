package send

import (
	"context"
	"math"
	"time"
)

// glance is how long a lane or the scheduler sleeps at most while something waits
// for a time of day: the wall clock may have jumped meanwhile (PITFALLS 19).
const glance = time.Second

// roomFactor times concurrency messages may be marked without their result
// recorded where unknown ones are resent: one share with the receiver, one on its
// way to it or into the books, so that no worker waits for a sync. Of a receiver that
// answers faster than that, as many more lie ready as it answers in commitsAhead commits,
// up to wideRoom; of a slow one no more, for whoever comes next would wait behind them.
// fullGroup results are worth a commit, which costs the same for 200 as for 60; it doesn't
// wait for more, since what waits was delivered and is delivered again after a crash.
const (
	roomFactor   = 2
	commitsAhead = 16
	wideRoom     = 1024
	fullGroup    = 256
)

// rest is after how long without work a lane lets its workers go.
const rest = 10 * time.Second

// room is how many messages may be marked without their result recorded. With
// a crash they are what no one can tell, so with on_unknown: hold it is no
// more than can be under way.
func (l *lane) room() int {
	concurrency := int(l.limit.Load())
	switch {
	case l.batch() > 1 && l.settings.Load().OnUnknown == RetryUnknown:
		return max(fewBatches, min(manyBatches, roomFactor*concurrency)) * l.batch()
	case l.batch() > 1:
		return fewBatches * l.batch()
	case l.settings.Load().OnUnknown == RetryUnknown:
		room := roomFactor * concurrency
		return max(room, min(room+l.pace.answeredIn(commitsAhead, concurrency), wideRoom))
	}
	return concurrency
}

// worthwhile is the size of a group that is worth a commit without waiting for
// more: a quarter of the room of a batch driver, so that one is in the books, one
// with the driver and one between them; else half of it, or a full group.
func (l *lane) worthwhile() int {
	if b := l.batch(); b > 1 {
		return max(b, l.room()/4)
	}
	return max(int(l.limit.Load()), min(l.room()/2, fullGroup))
}

// step does all that can be done now. It returns how long to sleep unless woken;
// not ok: until woken.
func (l *lane) step(ctx context.Context) (wait time.Duration, ok bool) {
	sleep := sleeper{}
	mono, now := time.Now(), l.d.now()
	n := 0
	switch {
	case ctx.Err() != nil:
		l.giveBackQueued()
	case len(l.feeds) == 0:
		l.handOut(mono, now, &sleep)
		l.idle(mono, &sleep)
	default:
		l.handOut(mono, now, &sleep)
		l.idleAt = time.Time{}
		if l.refresh(now, mono) {
			sleep.atMost(glance)
		}
		l.lookAhead(now)
		n = l.want(mono, now, &sleep)
	}
	if l.worthIt(n, mono, &sleep) {
		if !l.markGroup(ctx, n, now, mono, &sleep) {
			return sleep.result()
		}
		l.handOut(time.Now(), l.d.now(), &sleep)
		l.group.reset()
		l.prune()
		if l.moved || n == 0 {
			return 0, true // there may be more at once
		}
	}
	l.due(mono, now, &sleep)
	l.prune()
	return sleep.result()
}

// linger is how long results and attempts may wait for more to join them while
// more are sure to come: a commit costs a sync whatever its size. It is short
// while no message waits for a worker.
func (l *lane) linger() time.Duration {
	if l.hands.starve() {
		return time.Millisecond
	}
	return 4 * time.Millisecond
}

// worthIt reports whether there is a group to commit now: n attempts may be
// picked, or results have come in.
func (l *lane) worthIt(n int, mono time.Time, sleep *sleeper) bool {
	good := l.worthwhile()
	decided := l.resultCount()
	if wait := l.sickEnd.Sub(mono); wait > 0 && l.d.give.Err() == nil {
		l.tray.await(math.MaxInt)
		sleep.atMost(min(wait, glance))
		return false
	}
	have := decided + l.tray.await(max(good-decided, 1))
	if have+n == 0 {
		l.waitsAt = time.Time{}
		if l.tray.await(1) > 0 { // one came between the two looks
			sleep.atMost(0)
		}
		return false
	}
	waiting, held := l.inQueue(l.d.now())
	onTheWay := int(l.unrecorded.Load()) - have - waiting - held
	if onTheWay <= 0 || have >= good || n >= min(good, l.pace.portion()) {
		l.waitsAt = time.Time{}
		return true
	}
	if l.waitsAt.IsZero() {
		l.waitsAt = mono
	}
	if wait := l.linger() - mono.Sub(l.waitsAt); wait > 0 {
		sleep.atMost(wait)
		return false
	}
	l.waitsAt = time.Time{}
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
func (l *lane) idle(mono time.Time, sleep *sleeper) {
	if l.unrecorded.Load() > 0 {
		return
	}
	if l.idleAt.IsZero() {
		l.idleAt = mono
	}
	if wait := rest - mono.Sub(l.idleAt); wait > 0 {
		sleep.atMost(wait)
		return
	}
	l.hands.dismiss()
}

// refresh has the feeds look again whose plan has changed, whose time has come or
// whose slot has passed, and has those be sliced again; true if one waits for that.
func (l *lane) refresh(now, mono time.Time) bool {
	waits := false
	for _, f := range l.feeds {
		if f.route != f.run.route.Load() || f.nextAt > 0 && f.nextAt <= now.UnixNano() ||
			f.hurts && !mono.Before(f.hurtUntil) || f.cursorPassed(l, now) {
			l.look(f, now)
		}
		if f.stuck {
			waits = true
			l.d.replan(f.run, l.app.grid)
		}
	}
	return waits
}

// cursorPassed reports whether a slot that is not done with has passed.
func (f *feed) cursorPassed(l *lane, now time.Time) bool {
	for i := range f.cursors {
		if f.passed(l, &f.cursors[i], now) {
			return !f.stuck
		}
	}
	return false
}

// want is how many messages may be marked now, by every limit there is.
func (l *lane) want(mono, now time.Time, sleep *sleeper) int {
	if wait := l.sickEnd.Sub(mono); wait > 0 {
		sleep.atMost(min(wait, glance))
		return 0
	}
	if open, until := l.door.open(now); !open {
		sleep.atMost(min(max(until.Sub(now), time.Millisecond), glance))
		return 0
	}
	if !l.anyDue(now) || l.until > now.UnixNano() && !l.dueBy(now) && l.aheadRoom() <= 0 {
		return 0
	}
	// The results that lie there will be recorded in the same commit.
	unrecorded := l.unrecorded.Load() - int64(l.resultCount()+l.tray.await(math.MaxInt))
	n := l.room() - int(unrecorded)
	allowed := l.valve.allows(mono, unrecorded)
	l.asProbe = allowed == 1
	switch {
	case allowed == 0:
		if wait := l.valve.wait(mono); wait > 0 {
			sleep.atMost(min(wait, glance))
		}
		return 0
	case allowed > 0:
		n = min(n, allowed)
	}
	if n <= 0 {
		sleep.atMost(glance) // a result will wake the lane, but a slot may pass before
		return 0
	}
	queued, _ := l.inQueue(now)
	tokens := l.pace.ahead(mono, queued)
	portion := l.pace.portion()
	if tokens <= 0 || unrecorded > 0 && tokens < portion {
		if queued == 0 { // else the token that those wait for wakes the lane
			sleep.atMost(min(l.pace.waitToMark(mono, portion), glance))
		}
		return 0
	}
	if n = min(n, tokens); l.batch() > 1 && unrecorded > 0 && n < min(l.worthwhile(), tokens) {
		sleep.atMost(glance)
		return 0
	}
	return n
}

// anyDue reports whether a feed has something that may be picked.
func (l *lane) anyDue(now time.Time) bool {
	for _, f := range l.feeds {
		if f.mayGo(l, now) {
			return true
		}
	}
	return false
}

// dueBy reports whether a feed has something whose time has come.
func (l *lane) dueBy(now time.Time) bool {
	for _, f := range l.feeds {
		if f.mayGo(l, now) && f.nextAt <= now.UnixNano() {
			return true
		}
	}
	return false
}

// markGroup picks up to n messages and has their attempts recorded, and the
// results that lie there; false if the books don't take them. Then nothing is
// sent, and it is tried again later.
func (l *lane) markGroup(ctx context.Context, n int, now, mono time.Time, sleep *sleeper) bool {
	l.gate.RLock()
	if l.moved = false; n > 0 {
		l.pickAll(n, now)
	}
	err := l.commit(ctx)
	l.gate.RUnlock()
	l.recycle()
	if err != nil {
		l.d.storeFailed("record attempts and results", err)
		wait := min(100*time.Millisecond<<min(l.sick, 10), 10*time.Second)
		l.sick++
		l.sickEnd = mono.Add(wait)
		sleep.atMost(min(wait, glance))
		if l.d.give.Err() != nil && len(l.results) > 0 {
			l.d.lost.Store(true)
			l.letGo()
		}
		return false
	}
	if l.sick > 0 {
		l.sick = 0
		l.d.storeWorks()
	}
	if l.group.count > 0 {
		l.picked = mono
		if l.asProbe {
			l.valve.probe()
		}
	}
	if len(l.feeds) > crowd {
		for _, f := range l.feeds {
			f.drop(l)
		}
	}
	return true
}

// due adds to the sleep the time until the first feed has something to do.
func (l *lane) due(mono, now time.Time, sleep *sleeper) {
	first := int64(math.MaxInt64)
	for _, f := range l.feeds {
		if f.hurts {
			sleep.atMost(glance)
			continue
		}
		if f.reading {
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
	wait = max(wait, breath-mono.Sub(l.picked))
	sleep.atMost(min(wait, glance))
}
