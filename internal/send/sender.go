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
const breath = 2 * time.Millisecond

// laneApp is what a lane knows of its application. A reload gives it another one.
type laneApp struct {
	burst bool
	grid  *plan.Grid
}

// lane is one channel of an application at work. Its one goroutine, loop, picks
// messages, has their attempts recorded, gives them to the workers and takes back
// their results, which it records in one commit with the next attempts, while
// the workers go on. What is not said to be shared is loop's alone.
type lane struct {
	d    *Dispatcher
	id   int64 // of its application
	name string
	app  laneApp

	feeds    []*feed
	leaving  []*feed // halted, with something in flight
	turn     int     // index of the feed that was picked from last
	carry    int     // what that one's turn still holds, cut short by the end of the group
	group    group
	queued   []*parcel        // recorded attempts that wait for their time or their tokens, by time
	results  []*parcel        // with results that are decided, but not in the books
	outcomes []campaign.Entry // of those
	door     door
	driver   *driver
	sick     int       // commits of attempts that failed in a row
	sickEnd  time.Time // nothing is tried before
	picked   time.Time // when the last group was
	waitsAt  time.Time // since when there is a group, but one worth waiting for more
	idleAt   time.Time // since when there has been nothing to do
	until    int64     // what is due by then may be picked: now, or a little ahead; Unix nanoseconds
	moved    bool      // the last pick took or passed over something
	asProbe  bool      // the next group is the one message that a shut valve allows

	// Shared.
	gate       sync.RWMutex // held for reading from a look at run.halted to the act; see run.barrier
	pace       pace
	valve      valve
	hands      *hands
	limit      atomic.Int64                    // concurrency
	batchOf    atomic.Int64                    // most messages a call
	settings   atomic.Pointer[ChannelSettings] // as configured
	unrecorded atomic.Int64                    // messages marked, result not recorded
	crowdNow   atomic.Int64                    // len(feeds)
	tray       tray
	wake       chan struct{}
	configured *driver // the driver of the last Configure, guarded by Dispatcher.mu

	mu      sync.Mutex // guards what follows
	arrived []*feed
	renewed *newSettings
	retired bool            // the channel is gone from the configuration
	pings   []chan struct{} // to be closed when the loop comes round
	ended   bool            // the loop is over
}

// newSettings are what a reload brings.
type newSettings struct {
	app    laneApp
	door   door
	driver *driver
}

func newLane(d *Dispatcher, application int64, name string) *lane {
	return &lane{d: d, id: application, name: name, hands: newHands(), wake: make(chan struct{}, 1)}
}

// nudge has loop look at everything again.
func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// batch is the most messages a call of the driver takes.
func (l *lane) batch() int { return int(l.batchOf.Load()) }

// attach gives the lane a feed.
func (l *lane) attach(f *feed) {
	l.mu.Lock()
	l.arrived = append(l.arrived, f)
	l.mu.Unlock()
	l.nudge()
}

// renew changes what the lane works with from its next group on.
func (l *lane) renew(s newSettings) {
	l.mu.Lock()
	if before := l.renewed; before != nil && before.driver != nil {
		if s.driver == nil {
			s.driver = before.driver
		} else {
			before.driver.release()
		}
	}
	l.renewed = &s
	l.mu.Unlock()
	l.nudge()
}

// retire ends the lane once it has nothing left.
func (l *lane) retire() {
	l.mu.Lock()
	l.retired = true
	l.mu.Unlock()
	l.nudge()
}

// loop runs the lane until ctx ends or it retires, and until what is in flight is recorded.
func (l *lane) loop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	defer l.end()
	for !l.drain(ctx) {
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
	l.hands.dismiss()
	l.driver.release()
}

// drain takes in what others left for the loop; true if the lane is at its end.
func (l *lane) drain(ctx context.Context) bool {
	l.mu.Lock()
	arrived, renewed, retired := l.arrived, l.renewed, l.retired
	l.arrived, l.renewed = nil, nil
	l.answer()
	l.mu.Unlock()
	if renewed != nil {
		l.app, l.door = renewed.app, renewed.door
		if renewed.driver != nil {
			if l.driver != nil {
				l.driver.release()
			}
			l.driver = renewed.driver
			l.pace.forgetAnswers()
			l.batchOf.Store(int64(max(1, l.driver.Batch())))
		}
	}
	now := l.d.now()
	for _, f := range arrived {
		l.feeds = append(l.feeds, f)
		l.look(f, now)
	}
	l.prune()
	stopping := ctx.Err() != nil || retired && len(l.feeds) == 0 && len(l.leaving) == 0
	return stopping && len(l.queued) == 0 && l.unrecorded.Load() == 0
}

// returned books a parcel's outcomes in memory after they are on disk.
func (l *lane) returned(p *parcel) {
	for i := range p.items {
		it := &p.items[i]
		f := it.feed
		f.inFlight--
		f.run.marked.Add(-1)
		if p.results[i].Verdict == verdictRefused {
			continue
		}
		f.mark(it.row, it.message, campaign.NewMessageStatus(it.outcome, int(it.counted)))
		b := back{row: it.row, message: it.message, attempts: it.counted}
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
		f.back.add(b)
		if next := max(b.at, 1); f.nextAt == 0 || next < f.nextAt {
			f.nextAt = next
		}
	}
	l.unrecorded.Add(-int64(len(p.items)))
	p.driver.release()
	p.reset()
	l.d.parcels.Put(p)
}

// prune lets go of the feeds whose run is halted, and reports those that have nothing left.
func (l *lane) prune() {
	kept := l.feeds[:0]
	turn := l.turn
	for i, f := range l.feeds {
		if f.run.isHalted() {
			f.drop(l)
			l.leaving = append(l.leaving, f)
			if i <= l.turn {
				turn-- // whose turn is next stays so
			}
			if i == l.turn {
				l.carry = 0
			}
			continue
		}
		kept = append(kept, f)
		l.report(f)
	}
	l.turn = max(turn, -1)
	clear(l.feeds[len(kept):])
	l.feeds = kept
	l.crowdNow.Store(int64(len(kept)))
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
func (l *lane) report(f *feed) {
	over := f.inFlight == 0 && f.nextAt == 0 && f.back.empty() && !f.stuck && f.route == f.run.route.Load()
	if over != f.over {
		if f.over = over; over {
			f.run.feedOver()
		} else {
			f.run.feedAgain()
		}
	}
	quiet := int64(0)
	if f.inFlight == 0 && !f.stuck && f.nextAt > 1 {
		quiet = f.nextAt
	}
	f.quiet.Store(quiet)
}

// look has a feed find out when it goes on.
func (l *lane) look(f *feed, now time.Time) {
	if f.hurts && time.Now().Before(f.hurtUntil) {
		return
	}
	f.hurts = false
	if err := f.look(l, now); err != nil {
		f.hurt(l, err)
	}
}
