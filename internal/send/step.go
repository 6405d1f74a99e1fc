package send

import (
	"context"
	"math"
	"time"
)

// glance is how long a lane or the scheduler sleeps at most while something waits
// for a time of day: the wall clock may have jumped meanwhile (PITFALLS 19).
const glance = time.Second

// rest is after how long without work a lane lets its workers go.
const rest = 10 * time.Second

// room is how many messages may be marked without their result recorded. With
// a crash they are what no one can tell, so with on_unknown: hold it is no
// more than can be under way.
func (l *lane) room() int {
	concurrency := int(l.limit.Load())
	switch {
	case l.batch() > 1:
		return fewBatches * l.batch()
	case l.settings.Load().OnUnknown == RetryUnknown:
		return 2 * concurrency
	}
	return concurrency
}

// step does all that can be done now. It returns how long to sleep unless woken;
// not ok: until woken.
func (l *lane) step(ctx context.Context) (wait time.Duration, ok bool) {
	sleep := sleeper{}
	mono, now := time.Now(), l.d.now()
	if ctx.Err() != nil {
		l.giveBackQueued()
		return 0, false
	}
	l.handOut(mono, now, &sleep)
	if len(l.feeds) == 0 {
		l.idle(mono, &sleep)
		return sleep.result()
	}
	l.idleAt = time.Time{}
	if l.refresh(now, mono) {
		sleep.atMost(glance)
	}
	if n := l.want(mono, now, &sleep); n > 0 {
		if !l.markGroup(ctx, n, now, mono, &sleep) {
			return sleep.result()
		}
		l.handOut(time.Now(), l.d.now(), &sleep)
		if l.moved {
			// There may be more at once.
			l.group.reset()
			l.prune()
			return 0, true
		}
	}
	l.due(mono, now, &sleep)
	l.prune()
	return sleep.result()
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
	if !l.anyDue(now) {
		l.roomAt = time.Time{}
		return 0
	}
	unrecorded := l.unrecorded.Load()
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
	queued := 0
	for _, p := range l.queued {
		queued += len(p.items)
	}
	tokens := l.pace.ahead(mono, queued)
	portion := l.pace.portion()
	if tokens <= 0 || unrecorded > 0 && tokens < portion {
		if queued == 0 { // else the token that those wait for wakes the lane
			sleep.atMost(min(l.pace.waitToMark(mono, portion), glance))
		}
		return 0
	}
	if n = min(n, tokens); unrecorded == 0 {
		return n
	}
	// A commit costs a sync whatever its size: while there is work in hand, a group is worth a moment.
	if l.batch() > 1 && n < min(l.batch(), tokens) {
		sleep.atMost(glance)
		return 0
	}
	if n < min(l.room()/2, portion) {
		if l.roomAt.IsZero() {
			l.roomAt = mono
		}
		if wait := linger - mono.Sub(l.roomAt); wait > 0 {
			sleep.atMost(wait)
			return 0
		}
	}
	return n
}

func (l *lane) anyDue(now time.Time) bool {
	for _, f := range l.feeds {
		if f.mayGo(now) {
			return true
		}
	}
	return false
}

// markGroup picks up to n messages and has their attempts recorded; false if the
// books don't take them. Then nothing is sent, and it is tried again later.
func (l *lane) markGroup(ctx context.Context, n int, now, mono time.Time, sleep *sleeper) bool {
	l.gate.RLock()
	l.pick(n, now)
	err := l.commit(ctx)
	l.gate.RUnlock()
	l.roomAt = time.Time{}
	if err != nil {
		if ctx.Err() == nil {
			l.d.storeFailed("record attempts", err)
		}
		wait := min(100*time.Millisecond<<min(l.sick, 10), 10*time.Second)
		l.sick++
		l.sickEnd = mono.Add(wait)
		sleep.atMost(wait)
		return false
	}
	if l.group.count > 0 {
		l.picked = mono
		if l.asProbe {
			l.valve.probe()
		}
		if l.sick > 0 {
			l.sick = 0
			l.d.storeWorks()
		}
	}
	if len(l.feeds) > crowd {
		for _, f := range l.feeds {
			f.drop(l)
		}
	}
	return true
}

// handOut gives recorded attempts to the workers as their tokens come.
func (l *lane) handOut(mono, now time.Time, sleep *sleeper) {
	for len(l.queued) > 0 {
		p := l.queued[0]
		if open, _ := l.door.open(now); !open {
			l.giveBackQueued()
			return
		}
		if !l.pace.allow(mono, len(p.items)) {
			sleep.atMost(l.pace.wait(mono, len(p.items)))
			return
		}
		l.queued[0] = nil
		l.queued = l.queued[1:]
		l.handTo(p)
	}
	l.queued = l.queued[:0]
}

func (l *lane) handTo(p *parcel) {
	if l.hands.give(p, int(l.limit.Load())) {
		l.d.workers.Go(l.work)
	}
}

// giveBackQueued has the messages that wait for a token be pending again.
func (l *lane) giveBackQueued() {
	for _, p := range l.queued {
		for i := range p.items {
			if p.results[i].Verdict == 0 {
				p.results[i].Verdict = verdictBack
			}
		}
		l.handTo(p)
	}
	clear(l.queued)
	l.queued = l.queued[:0]
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
	wait = max(wait, breath-mono.Sub(l.picked))
	sleep.atMost(min(wait, glance))
}
