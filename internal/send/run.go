package send

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// sliceSnapshot holds a sending's slices as they were at one moment. A cursor that finds a newer
// snapshot starts again with it.
type sliceSnapshot struct {
	list   []campaign.Slice
	asOf   time.Time // slices that ended by then have nothing unsent left
	expiry time.Time // when everything unsent expires; zero if there is no slice
	latest time.Time // until when blocked time may delay that; zero: not at all
}

// run is one loaded sending: from the moment it comes into the lookahead until it has ended, is
// halted, or has nothing to do for a while. load makes it and conclude removes it. An id has at
// most one run, so nothing is read from the store while an older run still has results to record.
type run struct {
	id         campaign.ID
	s          *campaign.Sending
	senders    []*channelSender // senders of its cursors, set once
	slices     atomic.Pointer[sliceSnapshot]
	halted     atomic.Uint32   // see the constants below
	probe      atomic.Bool     // one message at a time until an answer is no hold
	started    atomic.Bool     // its first attempt is durable
	replanning atomic.Bool     // it is being planned again
	unrecorded atomic.Int64    // messages without a recorded result
	remote     atomic.Int64    // of these, those of remote channels
	claimed    atomic.Int64    // of these, those that a worker was allowed to send
	concluded  chan struct{}   // closed when the run is concluded
	loading    context.Context // of what load waits for; ends when the run is halted
	stopLoad   context.CancelFunc
	preparing  atomic.Pointer[Wait] // while files are being uploaded; nil: they aren't

	blockedFor   atomic.Int64 // nanoseconds since the run was loaded in which our own rules prevented sending
	blockedSince atomic.Int64 // Unix nanoseconds: start of such a time that lasts; 0: none

	mu         sync.Mutex // guards what follows
	cursors    []*sendingCursor
	open       int  // cursors in senders, and tasks under way; at 0 the run is concluded
	ended      bool // conclude has begun
	finished   int  // cursors that have nothing left to do
	finish     bool // all cursors have finished: every message should have an outcome
	blocked    int  // cursors whose channel is held by a rule of our own
	canceledAt time.Time
	deferUntil time.Time // not loaded again before
	pause      time.Duration
}

// Values of run.halted. A closing run also carries, in the bits above, the outcome that it is finalized with.
const (
	runActive  = 0
	runHalted  = 1
	runClosing = 2
)

func newRun(ctx context.Context, id campaign.ID) *run {
	r := &run{id: id, concluded: make(chan struct{}), open: 1}
	r.loading, r.stopLoad = context.WithCancel(ctx)
	return r
}

// halt stops picking messages of the run and handing them to a driver. Call barrier afterwards to
// wait until every goroutine knows.
func (r *run) halt() {
	r.halted.CompareAndSwap(runActive, runHalted)
	r.stopLoad()
}

// haltFor halts the run, which is loaded again after pause.
func (r *run) haltFor(pause time.Duration) {
	r.mu.Lock()
	r.pause = pause
	r.mu.Unlock()
	r.halt()
}

// close halts the run, whose sending is being finalized with outcome o.
func (r *run) close(o campaign.Outcome) {
	r.halted.Store(runClosing | uint32(o)<<8)
	r.stopLoad()
}

// unclose undoes close; the run stays halted.
func (r *run) unclose() { r.halted.Store(runHalted) }

func (r *run) isHalted() bool { return r.halted.Load() != runActive }

// closingAs returns the outcome given to close, or Pending.
func (r *run) closingAs() campaign.Outcome { return campaign.Outcome(r.halted.Load() >> 8) }

// barrier returns when no channel sender is between its last check of halted and the commit, or
// between that check and the driver.
func (r *run) barrier() {
	for _, cs := range r.channelSenders() {
		cs.gate.barrier()
		cs.deliverer.withdrawHalted()
		cs.updates.nudge()
	}
}

// nudge wakes the run's channel senders.
func (r *run) nudge() {
	for _, cs := range r.channelSenders() {
		cs.updates.nudge()
	}
}

func (r *run) channelSenders() []*channelSender {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.senders
}

// enter keeps the run from being concluded. It returns false if that has begun.
func (r *run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.open++
	return true
}

// leave ends an enter, or a cursor. It returns true if the caller must conclude the run.
func (r *run) leave() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
	if r.open > 0 || !r.isHalted() {
		return false
	}
	r.ended = true
	return true
}

// cursorFinished counts a cursor that has nothing left. The last one halts the run.
func (r *run) cursorFinished() {
	r.mu.Lock()
	r.finished++
	done := r.finished == len(r.cursors)
	if done && !r.replanning.Load() {
		r.finish = true
		r.halt()
	}
	r.mu.Unlock()
	if done {
		r.nudge()
	}
}

// cursorResumed undoes cursorFinished.
func (r *run) cursorResumed() {
	r.mu.Lock()
	r.finished--
	r.mu.Unlock()
}

// quietUntil returns when the first cursor of the run has something to do, or zero if one has so
// now or waits for a result.
func (r *run) quietUntil() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first int64
	for _, cur := range r.cursors {
		q := cur.idleUntil.Load()
		if q == 0 {
			return time.Time{}
		}
		if first == 0 || q < first {
			first = q
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return time.Unix(0, first)
}

// newSliceSnapshot makes a snapshot. Slices that ended by asOf have nothing unsent left.
func newSliceSnapshot(sending *campaign.Sending, slices []campaign.Slice, windows *calendar.Windows, asOf time.Time) *sliceSnapshot {
	it := &sliceSnapshot{list: slices, asOf: asOf}
	it.expiry, it.latest = plan.Expiry(sending, slices, windows)
	return it
}

// hasPassed reports whether a slice that may have something unsent ended by now.
func (it *sliceSnapshot) hasPassed(now time.Time) bool {
	for _, s := range it.list {
		if s.Sliced() && !s.End.After(now) && s.End.After(it.asOf) {
			return true
		}
	}
	return false
}

// sliceOf returns the slice that holds the row, or nil.
func (it *sliceSnapshot) sliceOf(row uint32) *campaign.Slice {
	for i := len(it.list) - 1; i >= 0; i-- {
		if s := &it.list[i]; row >= s.First && row-s.First < s.Rows {
			return s
		}
	}
	return nil
}
