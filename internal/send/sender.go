package send

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// fewBatches and manyBatches limit the batches of a batch driver that may be recorded as attempted
// without a recorded result. After a crash their messages are unknown, so manyBatches applies only
// where unknown messages are resent, and never exceeds twice the concurrency.
const (
	fewBatches  = 4
	manyBatches = 16
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
	d      *Dispatcher
	id     int64 // application id
	name   string
	pacing pacing

	cursors         []*sendingCursor
	leaving         []*sendingCursor // of halted runs with messages in flight
	turn            int              // index in cursors of the one picked from last
	turnLeft        int              // messages left of that cursor's turn when the group was full
	group           group
	contact         []byte           // scratch: the contact of the message being picked
	recordedBatches []*batch         // recorded attempts that wait for their time or a token, by time
	results         []*batch         // results decided but not recorded
	outcomes        []campaign.Entry // entries for results
	window          *sendingWindow
	driver          *driver
	commitFailures  int       // failed commits in a row
	commitAfter     time.Time // no commit before
	pickedAt        time.Time // time of the last group
	lingerSince     time.Time // since when a small group has waited for more
	idleSince       time.Time // since when nothing was due
	pickUntil       int64     // messages due by then may be picked: now, or a little ahead; Unix nanoseconds
	progressed      bool      // the last pick took or skipped a message
	wait            *Wait     // why the sender picks nothing; nil: it may
	blocked         bool      // a rule of our own holds the channel, as last reported to the runs
	blockedCursors  int       // cursors when it was reported
	probing         bool      // the next group is the probe of an open breaker
	waitsSince      time.Time // since when nothing can be handed out to workers

	// Shared.
	gate        sync.RWMutex // held for reading between the check at hand-over and the call; see run.barrier
	limiter     rateLimiter
	breaker     circuitBreaker
	workers     *workerPool
	limit       atomic.Int64                    // concurrency
	maxBatch    atomic.Int64                    // most messages in one call
	settings    atomic.Pointer[ChannelSettings] // as configured
	available   atomic.Pointer[Workers]         // of a remote channel, as last seen
	rules       atomic.Pointer[rules]           // checked at hand-over
	unrecorded  atomic.Int64                    // messages marked, result not recorded
	cursorCount atomic.Int64                    // len(cursors)
	completed   completedQueue
	wake        chan struct{}
	configured  *driver // the driver of the last Configure, guarded by Dispatcher.mu

	mu      sync.Mutex // guards what follows
	arrived []*sendingCursor
	changed *changedSettings
	retired bool            // the channel is gone from the configuration
	pings   []chan struct{} // closed when loop runs the next time
	ended   bool            // loop has returned

	handOuts map[*HandOut]struct{} // batches that workers may claim or have claimed; nil until the first
}

// changedSettings are the settings that a reload hands to loop.
type changedSettings struct {
	app    pacing
	rules  *rules
	driver *driver
}

func newChannelSender(d *Dispatcher, application int64, name string) *channelSender {
	return &channelSender{d: d, id: application, name: name, workers: newWorkerPool(), wake: make(chan struct{}, 1)}
}

// nudge makes loop look at everything again.
func (cs *channelSender) nudge() {
	select {
	case cs.wake <- struct{}{}:
	default:
	}
}

// batchSize returns the largest number of messages in one call of the driver.
func (cs *channelSender) batchSize() int { return int(cs.maxBatch.Load()) }

// attach hands a sending's cursor to the sender.
func (cs *channelSender) addCursor(cur *sendingCursor) {
	cs.mu.Lock()
	cs.arrived = append(cs.arrived, cur)
	cs.mu.Unlock()
	cs.nudge()
}

// changeSettings replaces the settings from the next group on.
func (cs *channelSender) changeSettings(s changedSettings) {
	cs.mu.Lock()
	if before := cs.changed; before != nil && before.driver != nil {
		if s.driver == nil {
			s.driver = before.driver
		} else {
			before.driver.release()
		}
	}
	cs.changed = &s
	cs.mu.Unlock()
	cs.nudge()
}

// stopWhenIdle ends the sender once it has nothing left to do.
func (cs *channelSender) stopWhenIdle() {
	cs.mu.Lock()
	cs.retired = true
	cs.mu.Unlock()
	cs.nudge()
}

// loop runs until ctx ends or the channel is removed, and every attempt has a recorded result.
func (cs *channelSender) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer cs.markEnded()
	for !cs.takeUpdates(ctx) {
		wait, ok := cs.step(ctx)
		if !ok {
			<-cs.wake
			continue
		}
		if wait <= 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-cs.wake:
		case <-timer.C:
		}
	}
	cs.workers.stopIdle()
	cs.driver.release()
}

// takeUpdates takes what other goroutines left for loop. It returns true when loop must end.
func (cs *channelSender) takeUpdates(ctx context.Context) bool {
	cs.mu.Lock()
	arrived, renewed, retired := cs.arrived, cs.changed, cs.retired
	cs.arrived, cs.changed = nil, nil
	cs.answerPings()
	cs.mu.Unlock()
	if renewed != nil {
		cs.pacing, cs.window = renewed.app, renewed.rules.window
		cs.rules.Store(renewed.rules)
		if renewed.driver != nil {
			if cs.driver != nil {
				cs.driver.release()
			}
			cs.driver = renewed.driver
			cs.limiter.resetCallTime()
			cs.maxBatch.Store(int64(max(1, cs.driver.Batch())))
		}
	}
	now := cs.d.now()
	for _, cur := range arrived {
		cs.cursors = append(cs.cursors, cur)
		cs.lookup(cur, now)
	}
	cs.prune()
	stopping := ctx.Err() != nil || retired && len(cs.cursors) == 0 && len(cs.leaving) == 0
	return stopping && len(cs.recordedBatches) == 0 && cs.unrecorded.Load() == 0
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
	if b.recorded != nil && !cs.d.resultsLost.Load() {
		b.recorded()
	}
	b.driver.release()
	b.reset()
	cs.d.batches.Put(b)
}

// takeBack returns the messages of halted runs that wait for their time, a token or a worker. They
// aren't on their way, and the wait may be long.
func (cs *channelSender) takeBack() {
	var taken []*batch
	unwanted := func(b *batch) bool {
		if slices.ContainsFunc(b.items, func(it item) bool { return !it.cursor.run.isHalted() }) {
			return false
		}
		taken = append(taken, b)
		return true
	}
	cs.recordedBatches = slices.DeleteFunc(cs.recordedBatches, unwanted)
	cs.workers.takeBack(unwanted)
	for _, b := range taken {
		for i := range b.results {
			if b.results[i].Verdict == 0 {
				b.results[i].Verdict = verdictReturned
			}
		}
		cs.react(b)
		if cs.completed.add(b) {
			cs.nudge()
		}
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
