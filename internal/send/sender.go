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
func (l *channelSender) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// batch is the most messages a call of the driver takes.
func (l *channelSender) batchSize() int { return int(l.maxBatch.Load()) }

// attach gives the lane a feed.
func (l *channelSender) addCursor(f *sendingCursor) {
	l.mu.Lock()
	l.arrived = append(l.arrived, f)
	l.mu.Unlock()
	l.nudge()
}

// renew changes what the lane works with from its next group on.
func (l *channelSender) changeSettings(s changedSettings) {
	l.mu.Lock()
	if before := l.changed; before != nil && before.driver != nil {
		if s.driver == nil {
			s.driver = before.driver
		} else {
			before.driver.release()
		}
	}
	l.changed = &s
	l.mu.Unlock()
	l.nudge()
}

// retire ends the lane once it has nothing left.
func (l *channelSender) stopWhenIdle() {
	l.mu.Lock()
	l.retired = true
	l.mu.Unlock()
	l.nudge()
}

// loop runs the lane until ctx ends or it retires, and until what is in flight is recorded.
func (l *channelSender) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer l.markEnded()
	for !l.takeUpdates(ctx) {
		wait, ok := l.step(ctx)
		if !ok {
			<-l.wake
			continue
		}
		if wait <= 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-l.wake:
		case <-timer.C:
		}
	}
	l.workers.stopIdle()
	l.driver.release()
}

// drain takes in what others left for the loop; true if the lane is at its end.
func (l *channelSender) takeUpdates(ctx context.Context) bool {
	l.mu.Lock()
	arrived, renewed, retired := l.arrived, l.changed, l.retired
	l.arrived, l.changed = nil, nil
	l.answerPings()
	l.mu.Unlock()
	if renewed != nil {
		l.pacing, l.window = renewed.app, renewed.window
		if renewed.driver != nil {
			if l.driver != nil {
				l.driver.release()
			}
			l.driver = renewed.driver
			l.limiter.resetCallTime()
			l.maxBatch.Store(int64(max(1, l.driver.Batch())))
		}
	}
	now := l.d.now()
	for _, f := range arrived {
		l.cursors = append(l.cursors, f)
		l.lookup(f, now)
	}
	l.prune()
	stopping := ctx.Err() != nil || retired && len(l.cursors) == 0 && len(l.leaving) == 0
	return stopping && len(l.recordedBatches) == 0 && l.unrecorded.Load() == 0
}

// returned books a parcel's outcomes in memory after they are on disk.
func (l *channelSender) applyResults(p *batch) {
	for i := range p.items {
		it := &p.items[i]
		f := it.cursor
		f.inFlight--
		f.run.unrecorded.Add(-1)
		if p.results[i].Verdict == verdictRefused {
			continue
		}
		f.setStatus(it.row, it.message, campaign.NewMessageStatus(it.outcome, int(it.recordedAttempts)))
		b := queuedMessage{row: it.row, message: it.message, attempts: it.recordedAttempts}
		switch it.outcome {
		case campaign.Sent:
			if b.message++; int(b.message) > len(f.templates) {
				continue
			}
		case campaign.Retrying:
			b.retry, b.at = true, it.nextAt.UnixNano()
		case campaign.Pending:
		default:
			continue
		}
		f.queue.add(b)
		if next := max(b.at, 1); f.nextAt == 0 || next < f.nextAt {
			f.nextAt = next
		}
	}
	l.unrecorded.Add(-int64(len(p.items)))
	p.driver.release()
	p.reset()
	l.d.batches.Put(p)
}

// prune lets go of the feeds whose run is halted, and reports those that have nothing left.
func (l *channelSender) prune() {
	kept := l.cursors[:0]
	turn := l.turn
	for i, f := range l.cursors {
		if f.run.isHalted() {
			f.dropChunks(l)
			l.leaving = append(l.leaving, f)
			if i <= l.turn {
				turn-- // whose turn is next stays so
			}
			if i == l.turn {
				l.turnLeft = 0
			}
			continue
		}
		kept = append(kept, f)
		l.reportCursor(f)
	}
	l.turn = max(turn, -1)
	clear(l.cursors[len(kept):])
	l.cursors = kept
	l.cursorCount.Store(int64(len(kept)))
	stay := l.leaving[:0]
	for _, f := range l.leaving {
		if f.inFlight > 0 {
			stay = append(stay, f)
			continue
		}
		if f.run.leave() {
			l.d.conclude(f.run)
		}
	}
	clear(l.leaving[len(stay):])
	l.leaving = stay
}

// report tells the run how the feed stands: over, or quiet until some time.
func (l *channelSender) reportCursor(f *sendingCursor) {
	over := f.inFlight == 0 && f.nextAt == 0 && f.queue.empty() && !f.slotPassed && f.slices == f.run.slices.Load()
	if over != f.finished {
		if f.finished = over; over {
			f.run.cursorFinished()
		} else {
			f.run.cursorResumed()
		}
	}
	quiet := int64(0)
	if f.inFlight == 0 && !f.slotPassed && f.nextAt > 1 {
		quiet = f.nextAt
	}
	f.idleUntil.Store(quiet)
}

// look has a feed find out when it goes on.
func (l *channelSender) lookup(f *sendingCursor, now time.Time) {
	if f.backingOff && time.Now().Before(f.retryReadAt) {
		return
	}
	f.backingOff = false
	if err := f.lookup(l, now); err != nil {
		f.readFailed(l, err)
	}
}
