package send

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// minGap is the shortest time between two groups of messages that are due one by one. It lets the
// messages of a dense slot be recorded in small groups.
const minGap = 2 * time.Millisecond

// pacing holds the application's settings that a channel sender uses. A reload replaces it.
type pacing struct {
	burst bool
	grid  *plan.Grid
}

// channelSender sends the messages of one application's channel. Its only goroutine, loop, picks
// messages, records their attempts, hands them to the workers and collects their results. Results
// are recorded in the same commit as the next attempts while the workers continue. Fields belong
// to loop unless they are marked as shared.
type channelSender struct {
	*appChannel
	d      *Dispatcher
	pacing pacing

	cursors        []*sendingCursor
	leaving        []*sendingCursor // of halted runs with messages in flight
	turn           int              // index in cursors of the one picked from last
	turnLeft       int              // messages left of that cursor's turn when the group was full
	group          group
	contact        []byte // scratch: the contact of the message being picked
	attempts       attemptQueue
	results        []*batch         // results decided but not recorded
	outcomes       []campaign.Entry // entries for results
	driver         *driver
	commitFailures int       // failed commits in a row
	commitAfter    time.Time // no commit before
	pickedAt       time.Time // time of the last group
	lingerSince    time.Time // since when a small group has waited for more
	idleSince      time.Time // since when nothing was due
	pickUntil      int64     // messages due by then may be picked: now, or a little ahead; Unix nanoseconds
	progressed     bool      // the last pick took or skipped a message
	wait           *Wait     // why the sender picks nothing; nil: it may
	blocked        bool      // a rule of our own holds the channel, as last reported to the runs
	blockedCursors int       // cursors when it was reported
	probing        bool      // the next group is the probe of an open breaker
	waitsSince     time.Time // since when nothing can be handed out to workers

	// Shared.
	updates     *updates
	limiter     rateLimiter
	breaker     circuitBreaker
	gate        handOverGate
	health      channelHealth
	limits      limits
	deliverer   deliverer
	unrecorded  atomic.Int64 // messages marked, result not recorded
	cursorCount atomic.Int64 // len(cursors)
	configured  *driver      // the driver of the last Configure, guarded by Dispatcher.mu
}

func newChannelSender(d *Dispatcher, application int64, name string) *channelSender {
	cs := &channelSender{appChannel: &appChannel{environment: d.environment, application: application, name: name}, d: d, updates: newUpdates()}
	cs.limits.appChannel, cs.limits.limiter = cs.appChannel, &cs.limiter
	cs.gate.appChannel, cs.gate.breaker = cs.appChannel, &cs.breaker
	cs.health = channelHealth{appChannel: cs.appChannel, d: d, breaker: &cs.breaker, limiter: &cs.limiter}
	cs.deliverer.appChannel, cs.deliverer.gate, cs.deliverer.limiter = cs.appChannel, &cs.gate, &cs.limiter
	cs.deliverer.health, cs.deliverer.updates = &cs.health, cs.updates
	cs.deliverer.limit, cs.deliverer.pool = &cs.limits.concurrency, newWorkerPool()
	cs.attempts = attemptQueue{limiter: &cs.limiter, out: &cs.deliverer}
	return cs
}

// loop runs until ctx ends or the channel is removed, and every attempt has a recorded result.
func (cs *channelSender) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer cs.updates.markEnded()
	for !cs.takeUpdates(ctx) {
		wait, ok := cs.step(ctx)
		if !ok {
			<-cs.updates.wake
			continue
		}
		if wait <= 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-cs.updates.wake:
		case <-timer.C:
		}
	}
	cs.deliverer.pool.stopIdle()
	cs.driver.release()
}

// takeUpdates takes what other goroutines left for loop. It returns true when loop must end.
func (cs *channelSender) takeUpdates(ctx context.Context) bool {
	arrived, renewed, retired := cs.updates.take()
	if renewed != nil {
		cs.pacing = renewed.app
		cs.gate.rules.Store(renewed.rules)
		if renewed.driver != nil {
			if cs.driver != nil {
				cs.driver.release()
			}
			cs.driver = renewed.driver
			cs.limiter.resetCallTime()
			cs.limits.use(cs.driver)
		}
	}
	now := cs.now()
	for _, cur := range arrived {
		cs.cursors = append(cs.cursors, cur)
		cs.lookup(cur, now)
	}
	cs.prune()
	stopping := ctx.Err() != nil || retired && len(cs.cursors) == 0 && len(cs.leaving) == 0
	return stopping && cs.attempts.empty() && cs.unrecorded.Load() == 0
}

// applyResults updates the cursors with a batch's outcomes after they are durable.
func (cs *channelSender) applyResults(b *batch) {
	b.countByCursor(func(cur *sendingCursor, n int) {
		cur.inFlight -= n
		cur.run.unrecorded.Add(int64(-n))
	})
	for i := range b.items {
		it := &b.items[i]
		cur := it.cursor
		if b.driver.remote != nil {
			cur.run.remote.Add(-1)
			if it.claimed {
				cur.run.claimed.Add(-1)
			}
		}
		if b.results[i].nothingToRecord() {
			continue
		}
		status := campaign.NewMessageStatus(it.outcome, int(it.recordedAttempts))
		if it.maybeDelivered {
			status = status.WithMaybeDelivered()
		}
		cur.setStatus(it.row, it.message, status)
		b := queuedMessage{row: it.row, message: it.message, attempts: it.recordedAttempts}
		switch it.outcome {
		case campaign.Sent:
			if b.message++; int(b.message) > len(cur.templates) {
				continue
			}
		case campaign.Retrying:
			b.retry, b.at = true, it.nextAt
		case campaign.Pending:
			b.at = it.nextAt
		default:
			continue
		}
		cur.queue.add(b)
		if next := max(b.at, 1); cur.nextAt == 0 || next < cur.nextAt {
			cur.nextAt = next
		}
	}
	cs.unrecorded.Add(-int64(len(b.items)))
	if b.recorded != nil && !cs.resultsLost.Load() {
		b.recorded()
	}
	b.driver.release()
	cs.recycle(b)
}

// takeBack returns the messages of halted runs that wait for their time, a token or a worker. They
// aren't on their way, and the wait may be long.
func (cs *channelSender) takeBack() {
	unwanted := func(b *batch) bool {
		return !slices.ContainsFunc(b.items, func(it item) bool { return !it.cursor.run.isHalted() })
	}
	for _, b := range append(cs.attempts.remove(unwanted), cs.deliverer.pool.remove(unwanted)...) {
		cs.deliverer.giveBack(b)
	}
}

// prune removes the cursors of halted runs and reports the progress of the others.
func (cs *channelSender) prune() {
	kept := cs.cursors[:0]
	turn := cs.turn
	for i, cur := range cs.cursors {
		if cur.run.isHalted() {
			cur.dropChunks(cs)
			cs.leaving = append(cs.leaving, cur)
			if i <= cs.turn {
				turn-- // keep whose turn is next
			}
			if i == cs.turn {
				cs.turnLeft = 0
			}
			continue
		}
		kept = append(kept, cur)
		cs.reportCursor(cur)
	}
	cs.turn = max(turn, -1)
	if len(kept) < len(cs.cursors) {
		cs.takeBack()
	}
	clear(cs.cursors[len(kept):])
	cs.cursors = kept
	cs.publishBlocked()
	cs.cursorCount.Store(int64(len(kept)))
	stay := cs.leaving[:0]
	for _, cur := range cs.leaving {
		if cur.inFlight > 0 {
			stay = append(stay, cur)
			continue
		}
		if cur.run.leave() {
			cs.d.conclude(cur.run)
		}
	}
	clear(cs.leaving[len(stay):])
	cs.leaving = stay
}

// reportCursor tells the run whether the cursor has finished, or when it has something to do next.
func (cs *channelSender) reportCursor(cur *sendingCursor) {
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
	cs.publishWait(cur)
}

// lookup finds out when the cursor has something to do next, unless its last read failed a moment
// ago.
func (cs *channelSender) lookup(cur *sendingCursor, now time.Time) {
	if cur.backingOff && time.Now().Before(cur.retryReadAt) {
		return
	}
	cur.backingOff = false
	if err := cur.lookup(cs, now); err != nil {
		cur.readFailed(cs, err)
	}
}
