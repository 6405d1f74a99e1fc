package send

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// fewBatches and manyBatches are how many batches of a batch driver may be marked
// without their result recorded: with a crash they are what no one can tell, so the
// larger number is for where they may be resent, and never more than twice what
// the driver is called with at once.
const (
	fewBatches  = 4
	manyBatches = 16
)

// breath is the least time between two groups of messages that are due one by
// one: those of a dense slot go a few at a time.
const minGap = 2 * time.Millisecond

// laneApp is what a lane knows of its application. A reload gives it another one.
type pacing struct {
	burst bool
	grid  *plan.Grid
}

// lane is one channel of an application at work. Its one goroutine, loop, picks
// messages, has their attempts recorded, gives them to the workers and takes back
// their results, which it records in one commit with the next attempts, while
// the workers go on. What is not said to be shared is loop's alone.
type channelSender struct {
	d      *Dispatcher
	id     int64 // of its application
	name   string
	pacing pacing

	cursors         []*sendingCursor
	leaving         []*sendingCursor // halted, with something in flight
	turn            int              // index of the feed that was picked from last
	turnLeft        int              // what that one's turn still holds, cut short by the end of the group
	group           group
	recordedBatches []*batch         // recorded attempts that wait for their time or their tokens, by time
	results         []*batch         // with results that are decided, but not in the books
	outcomes        []campaign.Entry // of those
	window          sendingWindow
	driver          *driver
	commitFailures  int       // commits of attempts that failed in a row
	commitAfter     time.Time // nothing is tried before
	pickedAt        time.Time // when the last group was
	lingerSince     time.Time // since when there is a group, but one worth waiting for more
	idleSince       time.Time // since when there has been nothing to do
	pickUntil       int64     // what is due by then may be picked: now, or a little ahead; Unix nanoseconds
	progressed      bool      // the last pick took or passed over something
	probing         bool      // the next group is the one message that a shut valve allows

	// Shared.
	gate        sync.RWMutex // held for reading from a look at run.halted to the act; see run.barrier
	limiter     rateLimiter
	breaker     circuitBreaker
	workers     *workerPool
	limit       atomic.Int64                    // concurrency
	maxBatch    atomic.Int64                    // most messages a call
	settings    atomic.Pointer[ChannelSettings] // as configured
	unrecorded  atomic.Int64                    // messages marked, result not recorded
	cursorCount atomic.Int64                    // len(feeds)
	completed   completedQueue
	wake        chan struct{}
	configured  *driver // the driver of the last Configure, guarded by Dispatcher.mu

	mu      sync.Mutex // guards what follows
	arrived []*sendingCursor
	changed *changedSettings
	retired bool            // the channel is gone from the configuration
	pings   []chan struct{} // to be closed when the loop comes round
	ended   bool            // the loop is over
}

// newSettings are what a reload brings.
type changedSettings struct {
	app    pacing
	window sendingWindow
	driver *driver
}

func newChannelSender(d *Dispatcher, application int64, name string) *channelSender {
	return &channelSender{d: d, id: application, name: name, workers: newWorkerPool(), wake: make(chan struct{}, 1)}
}

// nudge has loop look at everything again.
func (cs *channelSender) nudge() {
	select {
	case cs.wake <- struct{}{}:
	default:
	}
}

// batch is the most messages a call of the driver takes.
func (cs *channelSender) batchSize() int { return int(cs.maxBatch.Load()) }

// attach gives the lane a feed.
func (cs *channelSender) addCursor(cur *sendingCursor) {
	cs.mu.Lock()
	cs.arrived = append(cs.arrived, cur)
	cs.mu.Unlock()
	cs.nudge()
}

// renew changes what the lane works with from its next group on.
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

// retire ends the lane once it has nothing left.
func (cs *channelSender) stopWhenIdle() {
	cs.mu.Lock()
	cs.retired = true
	cs.mu.Unlock()
	cs.nudge()
}

// loop runs the lane until ctx ends or it retires, and until what is in flight is recorded.
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

// drain takes in what others left for the loop; true if the lane is at its end.
func (cs *channelSender) takeUpdates(ctx context.Context) bool {
	cs.mu.Lock()
	arrived, renewed, retired := cs.arrived, cs.changed, cs.retired
	cs.arrived, cs.changed = nil, nil
	cs.answerPings()
	cs.mu.Unlock()
	if renewed != nil {
		cs.pacing, cs.window = renewed.app, renewed.window
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

// returned books a parcel's outcomes in memory after they are on disk.
func (cs *channelSender) applyResults(b *batch) {
	for i := range b.items {
		it := &b.items[i]
		cur := it.cursor
		cur.inFlight--
		cur.run.unrecorded.Add(-1)
		if b.results[i].Verdict == verdictRefused {
			continue
		}
		cur.setStatus(it.row, it.message, campaign.NewMessageStatus(it.outcome, int(it.recordedAttempts)))
		b := queuedMessage{row: it.row, message: it.message, attempts: it.recordedAttempts}
		switch it.outcome {
		case campaign.Sent:
			if b.message++; int(b.message) > len(cur.templates) {
				continue
			}
		case campaign.Retrying:
			b.retry, b.at = true, it.nextAt.UnixNano()
		case campaign.Pending:
		default:
			continue
		}
		cur.queue.add(b)
		if next := max(b.at, 1); cur.nextAt == 0 || next < cur.nextAt {
			cur.nextAt = next
		}
	}
	cs.unrecorded.Add(-int64(len(b.items)))
	b.driver.release()
	b.reset()
	cs.d.batches.Put(b)
}

// prune lets go of the feeds whose run is halted, and reports those that have nothing left.
func (cs *channelSender) prune() {
	kept := cs.cursors[:0]
	turn := cs.turn
	for i, cur := range cs.cursors {
		if cur.run.isHalted() {
			cur.dropChunks(cs)
			cs.leaving = append(cs.leaving, cur)
			if i <= cs.turn {
				turn-- // whose turn is next stays so
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
	clear(cs.cursors[len(kept):])
	cs.cursors = kept
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

// report tells the run how the feed stands: over, or quiet until some time.
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
}

// look has a feed find out when it goes on.
func (cs *channelSender) lookup(cur *sendingCursor, now time.Time) {
	if cur.backingOff && time.Now().Before(cur.retryReadAt) {
		return
	}
	cur.backingOff = false
	if err := cur.lookup(cs, now); err != nil {
		cur.readFailed(cs, err)
	}
}
