package send

import (
	"math"
	"sync/atomic"
	"time"

	"campaignd/internal/plan"
)

// minGap is the shortest time between two groups of messages that are due one by one. It lets the
// messages of a dense slot be recorded in small groups.
const minGap = 2 * time.Millisecond

// pacing holds the application's settings that a picker uses. A reload replaces it.
type pacing struct {
	burst bool
	grid  *plan.Grid
}

// picker knows what is due on a channel: a cursor for each loaded sending. It picks messages into
// its group, in fair turns. Its fields belong to the channel sender's loop, except count.
type picker struct {
	*appChannel
	runs    *runs
	limits  *limits
	breaker *circuitBreaker
	waits   *waits
	pacing  pacing

	cursors    []*sendingCursor
	leaving    []*sendingCursor // of halted runs with messages in flight
	count      atomic.Int64     // len(cursors)
	turn       int              // index in cursors of the one picked from last
	turnLeft   int              // messages left of that cursor's turn when the group was full
	group      group
	contact    []byte    // scratch: the contact of the message being picked
	until      int64     // messages due by then may be picked: now, or a little ahead; Unix nanoseconds
	pickedAt   time.Time // time of the last group
	progressed bool      // the last pick took or skipped a message

	blocked        bool // a rule of our own holds the channel, as last reported to the runs
	blockedCursors int  // cursors when it was reported
}

// empty reports whether the picker has no cursor, not even one with messages in flight.
func (p *picker) empty() bool { return len(p.cursors)+len(p.leaving) == 0 }

// add adds a sending's cursor.
func (p *picker) add(cur *sendingCursor, now time.Time) {
	p.cursors = append(p.cursors, cur)
	p.lookup(cur, now)
}

// setUntil sets the time up to which due messages may be picked. It is now, or, when a message
// is due within half the lead, now plus the lead, so that the messages of a dense slot are
// recorded in groups.
func (p *picker) setUntil(now time.Time) {
	p.until = now.UnixNano()
	lead := int64(p.limits.lead())
	for _, cur := range p.cursors {
		if cur.nextAt > 0 && cur.nextAt <= p.until+lead/2 {
			p.until += lead
			return
		}
	}
}

// due reports whether a cursor has a message whose time has come, or otherwise one that may be picked
// early.
func (p *picker) due(now time.Time) (due, early bool) {
	for _, cur := range p.cursors {
		if cur.mayGo(p, now) {
			if cur.nextAt <= now.UnixNano() {
				return true, early
			}
			early = true
		}
	}
	return false, early
}

// refresh looks again at cursors with a new plan, with something due or with a slot that has
// passed, and has the latter planned again. It returns true if one waits for a new plan.
func (p *picker) refresh(now, mono time.Time) bool {
	waits := false
	for _, cur := range p.cursors {
		if cur.slices != cur.run.slices.Load() || cur.nextAt > 0 && cur.nextAt <= now.UnixNano() ||
			cur.backingOff && !mono.Before(cur.retryReadAt) || cur.cursorPassed(p, now) {
			p.lookup(cur, now)
		}
		if cur.slotPassed {
			waits = true
			p.runs.replan(cur.run, p.pacing.grid)
		}
	}
	return waits
}

// cursorPassed reports whether a slot that isn't finished has passed.
func (cur *sendingCursor) cursorPassed(p *picker, now time.Time) bool {
	for i := range cur.sliceCursors {
		if cur.passed(p, &cur.sliceCursors[i], now) {
			return !cur.slotPassed
		}
	}
	return false
}

// prune removes the cursors of halted runs and reports the progress of the others. It returns true if it
// removed one.
func (p *picker) prune() (removed bool) {
	kept := p.cursors[:0]
	turn := p.turn
	for i, cur := range p.cursors {
		if cur.run.isHalted() {
			cur.dropChunks(p)
			p.leaving = append(p.leaving, cur)
			if i <= p.turn {
				turn-- // keep whose turn is next
			}
			if i == p.turn {
				p.turnLeft = 0
			}
			continue
		}
		kept = append(kept, cur)
		p.reportCursor(cur)
	}
	p.turn = max(turn, -1)
	removed = len(kept) < len(p.cursors)
	clear(p.cursors[len(kept):])
	p.cursors = kept
	p.publishBlocked()
	p.count.Store(int64(len(kept)))
	stay := p.leaving[:0]
	for _, cur := range p.leaving {
		if cur.inFlight > 0 {
			stay = append(stay, cur)
			continue
		}
		if cur.run.leave() {
			p.runs.conclude(cur.run)
		}
	}
	clear(p.leaving[len(stay):])
	p.leaving = stay
	return removed
}

// reportCursor tells the run whether the cursor has finished, or when it has something to do next.
func (p *picker) reportCursor(cur *sendingCursor) {
	over := cur.inFlight == 0 && cur.nextAt == 0 && cur.queue.empty() && !cur.slotPassed && cur.slices == cur.run.slices.Load()
	if over != cur.finished {
		if cur.finished = over; over {
			cur.run.cursorFinished()
		} else {
			cur.run.cursorResumed()
		}
	}
	quiet := int64(0)
	if cur.inFlight == 0 && !cur.slotPassed && cur.nextAt > 1 {
		quiet = cur.nextAt
	}
	cur.idleUntil.Store(quiet)
	p.waits.publish(cur)
}

// lookup finds out when the cursor has something to do next, unless its last read failed a moment
// ago.
func (p *picker) lookup(cur *sendingCursor, now time.Time) {
	if cur.backingOff && time.Now().Before(cur.retryReadAt) {
		return
	}
	cur.backingOff = false
	if err := cur.lookup(p, now); err != nil {
		cur.readFailed(p, err)
	}
}

// publishBlocked tells the runs whether a rule of our own keeps the channel from sending.
func (p *picker) publishBlocked() {
	own := p.breaker.ownRuleHolds()
	if own == p.blocked && p.blockedCursors == len(p.cursors) {
		return
	}
	for _, cur := range p.cursors {
		if cur.blocked != own && !cur.finished {
			cur.blocked = own
			p.runs.setBlocked(cur.run, own)
		}
	}
	p.blocked, p.blockedCursors = own, len(p.cursors)
}

// sleepUntilDue limits the sleep to the time when the first cursor has something to do.
func (p *picker) sleepUntilDue(mono, now time.Time, sleep *sleeper) {
	first := int64(math.MaxInt64)
	for _, cur := range p.cursors {
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
	if early := wait - p.limits.lead()/2; early > 0 {
		wait = early // otherwise it could not be recorded before its time
	}
	wait = max(wait, minGap-mono.Sub(p.pickedAt))
	sleep.atMost(min(wait, maxSleep))
}
