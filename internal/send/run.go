package send

import (
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// itinerary is a sending's slices as they were at one moment. Feeds that see
// another one than their own begin anew with it.
type sliceSnapshot struct {
	list   []campaign.Slice
	asOf   time.Time // slices that ended by then have nothing unsent left
	expiry time.Time // when whatever is unsent expires; zero if there is no slice
}

// run is one sending while the dispatcher works on it: from when it comes in
// sight until it is at its end, halted, or has nothing to do for a while. It is
// made by load and removed by conclude, and an id has at most one, so that
// nothing is read from the books while an older run of it has results on the way.
type run struct {
	id         campaign.ID
	s          *campaign.Sending
	senders    []*channelSender // those its feeds are in, set once
	slices     atomic.Pointer[sliceSnapshot]
	halted     atomic.Uint32 // see the constants below
	probe      atomic.Bool   // one message at a time until an answer is no hold
	started    atomic.Bool   // its first attempt is in the books
	replanning atomic.Bool   // it is being sliced again
	unrecorded atomic.Int64  // messages whose result is not recorded
	concluded  chan struct{} // closed when it is concluded

	mu            sync.Mutex // guards what follows
	cursors       []*sendingCursor
	open          int       // feeds in lanes, and steps under way; at 0 it is concluded
	ended         bool      // conclude was begun
	finished      int       // feeds that have nothing left to do
	finish        bool      // all are over: its books should balance
	finalizeAgain bool      // close out again at the end: something was in flight at the first time
	deferUntil    time.Time // not to be looked at before
	pause         time.Duration
}

// What a run's halted says. A run that is closing also carries the outcome of
// all that has none, in the bits above.
const (
	runActive  = 0
	runHalted  = 1
	runClosing = 2
)

func newRun(id campaign.ID) *run {
	return &run{id: id, concluded: make(chan struct{}), open: 1}
}

// halt lets nothing new of the run be picked or handed to a driver. Whoever
// needs to know that it has come to all goroutines calls barrier after it.
func (r *run) halt() { r.halted.CompareAndSwap(runActive, runHalted) }

// close is halt, and what has no outcome by now is to get o.
func (r *run) close(o campaign.Outcome) { r.halted.Store(runClosing | uint32(o)<<8) }

// unclose takes close back; the run stays halted.
func (r *run) unclose() { r.halted.Store(runHalted) }

func (r *run) isHalted() bool { return r.halted.Load() != runActive }

// closingAs is the outcome of close, Pending if it wasn't called.
func (r *run) closingAs() campaign.Outcome { return campaign.Outcome(r.halted.Load() >> 8) }

// barrier returns when no lane is any more between its last look at halted and
// the books, or between that look and the driver.
func (r *run) barrier() {
	r.mu.Lock()
	lanes := r.senders
	r.mu.Unlock()
	for _, cs := range lanes {
		cs.gate.Lock()
		//lint:ignore SA2001 the lock itself is the point: whoever held the gate is through
		cs.gate.Unlock()
		cs.nudge()
	}
}

// enter keeps the run from being concluded; false if that has begun.
func (r *run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.open++
	return true
}

// leave is the end of enter, or of a feed. It reports whether the run is to be
// concluded, which the caller then does.
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

// feedOver notes that one more feed has nothing left; the last one halts the run.
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
		for _, cs := range r.senders {
			cs.nudge()
		}
	}
}

// feedAgain takes a feedOver back.
func (r *run) cursorResumed() {
	r.mu.Lock()
	r.finished--
	r.mu.Unlock()
}

// quietUntil is when the first of the run's feeds has something to do, zero if
// one has so now or waits for a result.
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

// lateness of a sending that was stored without one.
const defaultMaxLateness = 24 * time.Hour

// newItinerary is the sending's slices, of which those that ended by asOf are done with.
func newSliceSnapshot(s *campaign.Sending, slices []campaign.Slice, asOf time.Time) *sliceSnapshot {
	return &sliceSnapshot{list: slices, asOf: asOf, expiry: expiry(s, slices)}
}

// expiry is when whatever is unsent expires (SPEC 8): MaxLateness after T for
// what is unsliced, T + 48h, or the end of the last slot that began before, for slices.
func expiry(sending *campaign.Sending, slices []campaign.Slice) time.Time {
	late := sending.MaxLateness
	if late <= 0 {
		late = defaultMaxLateness
	}
	var at time.Time
	for _, s := range slices {
		end := s.Start.Add(late)
		if s.Sliced() {
			end = sending.ScheduledAt.Add(plan.Horizon)
			if s.End.After(end) {
				end = s.End
			}
		}
		if end.After(at) {
			at = end
		}
	}
	return at
}

// expired reports whether all that is unsent is too late at now.
func (it *sliceSnapshot) expired(now time.Time) bool {
	return !it.expiry.IsZero() && !now.Before(it.expiry)
}

// passed reports whether a slice ended by now that may have something unsent.
func (it *sliceSnapshot) hasPassed(now time.Time) bool {
	for _, s := range it.list {
		if s.Sliced() && !s.End.After(now) && s.End.After(it.asOf) {
			return true
		}
	}
	return false
}

// sliceOf is the slice that holds the row, nil if none does.
func (it *sliceSnapshot) sliceOf(row uint32) *campaign.Slice {
	for i := len(it.list) - 1; i >= 0; i-- {
		if s := &it.list[i]; row >= s.First && row-s.First < s.Rows {
			return s
		}
	}
	return nil
}
