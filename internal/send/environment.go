package send

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
)

// environment is what all parts of a dispatcher share: the store, the clock, the log, and how far a
// stop has come.
type environment struct {
	store     Store
	log       *slog.Logger
	clock     func() time.Time
	onChange  func(campaign.ID)
	optedOut  func(int64, string, *Message) error
	observer  Observer
	bars      func() string // see Options
	retryHold time.Duration
	failures  sync.Map      // campaign.ID to MessageFailure: the newest of each sending that hasn't ended
	kicks     chan struct{} // see Kick

	batches, chunks sync.Pool
	workers         sync.WaitGroup // goroutines that send
	stopping        atomic.Bool    // nothing new goes out
	storeDown       atomic.Bool    // storeFailed was logged
	resultsLost     atomic.Bool    // results could not be recorded

	sendCtx      context.Context // for drivers; ends StopTimeout after Run's
	abort        context.CancelFunc
	retryCtx     context.Context // ends when nothing is retried any more
	stopRetrying context.CancelFunc
}

func newEnvironment(opts Options) *environment {
	e := &environment{
		store: opts.Store, log: opts.Log, clock: opts.Now, onChange: opts.OnChange, optedOut: opts.OptedOut,
		observer: opts.Observer, bars: opts.Bars, retryHold: cmp.Or(opts.RetryHold, 5*time.Minute), kicks: make(chan struct{}, 1),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.clock == nil {
		e.clock = time.Now
	}
	if e.bars == nil {
		e.bars = func() string { return "" }
	}
	e.batches.New = func() any { return new(batch) }
	e.chunks.New = func() any { return new(chunk) }
	e.sendCtx, e.abort = context.WithCancel(context.Background())
	e.retryCtx, e.stopRetrying = context.WithCancel(context.Background())
	return e
}

// now returns the wall clock in UTC without the monotonic reading, because it is compared with
// times of day.
func (e *environment) now() time.Time { return e.clock().Round(0).UTC() }

// Kick tells the scheduler that something new may be due.
func (e *environment) Kick() { signal(e.kicks) }

// signal wakes the goroutine that receives from a channel of one place, now or at its next look.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// changed reports that a sending's state or slices have changed.
func (e *environment) changed(id campaign.ID) {
	if e.onChange != nil {
		e.onChange(id)
	}
}

// persist repeats fn until it succeeds or Run gives up.
func (e *environment) persist(what string, fn func() error) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := fn()
		if err == nil {
			e.storeRecovered()
			return
		}
		e.storeFailed(what, err)
		select {
		case <-e.retryCtx.Done():
			e.resultsLost.Store(true)
			return
		case <-time.After(wait):
		}
	}
}

// storeFailed logs once that the store can't be written.
func (e *environment) storeFailed(what string, err error) {
	if e.storeDown.CompareAndSwap(false, true) {
		e.log.Error("the store can't be written: nothing is sent until it can", "doing", what, "err", err, "todo", safeio.Advice(err))
	}
}

// storeRecovered logs that the store can be written again, if storeFailed was logged.
func (e *environment) storeRecovered() {
	if e.storeDown.Load() && e.storeDown.CompareAndSwap(true, false) {
		e.log.Info("the store can be written again: sending continues")
	}
}

// recycle makes a batch available for its next use.
func (e *environment) recycle(b *batch) {
	b.reset()
	e.batches.Put(b)
}

// appChannel is one channel of an application, with its settings. All parts of its sender share it.
type appChannel struct {
	*environment
	application int64
	name        string
	settings    atomic.Pointer[ChannelSettings] // as configured
}

// optOut records that the contact opted out, if the answer says so.
func (c *appChannel) optOut(m *Message, res *Result) {
	if !res.OptOut || c.optedOut == nil {
		return
	}
	if err := c.optedOut(c.application, c.name, m); err != nil {
		c.log.Error("cannot add an opt-out to the list", "application", c.application, "channel", c.name, "err", err)
	}
}
