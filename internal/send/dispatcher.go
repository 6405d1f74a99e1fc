package send

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"campaignd/internal/campaign"
)

// channelKey identifies a channel of an application.
type channelKey struct {
	application int64
	name        string
}

// Dispatcher sends what is due. One goroutine, the scheduler, asks the store what comes into the
// lookahead and loads it; a channelSender for each channel of an application sends it. A
// Dispatcher is safe for concurrent use.
type Dispatcher struct {
	*environment
	stopTimeout time.Duration
	kicks       chan struct{}
	pings       chan chan struct{} // see Alive
	loops       sync.WaitGroup     // channel senders
	orphans     orphans
	tasks       tasks // short work on one sending: load, replan, conclude, hold

	mu            sync.Mutex // guards what follows; never held during a call of Store
	running       bool
	runCtx        context.Context // Run's, for channels that a reload brings
	apps          map[int64]*Application
	senders       map[channelKey]*channelSender
	slotMeters    map[int64]*slotMeter // by application
	runs          map[campaign.ID]*run
	deferred      map[campaign.ID]deferral  // not loaded before
	held          map[campaign.ID]time.Time // held by an answer: tried again then
	misconfigured map[campaign.ID]bool      // held because a channel is missing
	probes        map[campaign.ID]bool      // loaded with one message at a time
	loadFailures  map[campaign.ID]int       // failed loads in a row
	unprepared    map[campaign.ID]time.Time // since when an item of it can't be prepared
}

// deferral says until when a sending isn't loaded: by the wall clock, or for a length of time.
type deferral struct {
	wall time.Time
	mono time.Time
	wait *Wait // what the sending waits for; nil: nothing
}

// New makes a Dispatcher. It starts nothing and does no I/O.
func New(opts Options) *Dispatcher {
	return &Dispatcher{
		environment: newEnvironment(opts), stopTimeout: cmp.Or(opts.StopTimeout, 10*time.Second),
		kicks: make(chan struct{}, 1), pings: make(chan chan struct{}), apps: map[int64]*Application{}, senders: map[channelKey]*channelSender{}, slotMeters: map[int64]*slotMeter{},
		runs: map[campaign.ID]*run{}, deferred: map[campaign.ID]deferral{}, held: map[campaign.ID]time.Time{},
		misconfigured: map[campaign.ID]bool{}, probes: map[campaign.ID]bool{}, loadFailures: map[campaign.ID]int{}, unprepared: map[campaign.ID]time.Time{},
	}
}

// Run sends until ctx ends. Then it starts nothing new, gives messages in flight StopTimeout to
// end, cuts off the rest, records all results and returns. It may be called once. It returns an
// error if results could not be recorded; those messages count as in flight at a crash.
func (d *Dispatcher) Run(ctx context.Context) error {
	defer d.stopRetrying()
	defer d.abort()
	d.countSlots()
	d.mu.Lock()
	d.running, d.runCtx = true, ctx
	for _, cs := range d.senders {
		d.start(ctx, cs)
	}
	d.mu.Unlock()

	d.schedule(ctx)

	d.stopping.Store(true)
	d.mu.Lock()
	d.running = false
	for _, cs := range d.senders {
		cs.deliverer.withdrawHalted()
	}
	d.mu.Unlock()
	d.nudge()
	ended := make(chan struct{})
	go func() {
		// Channel senders and workers start tasks until they end, so tasks end last.
		d.loops.Wait()
		d.workers.Wait()
		d.tasks.end()
		close(ended)
	}()
	const grace = 2 * time.Second
	for _, limit := range []struct {
		after time.Duration
		act   func()
	}{{d.stopTimeout, d.abort}, {grace, d.stopRetrying}, {grace, nil}} {
		timer := time.NewTimer(limit.after)
		select {
		case <-ended:
			timer.Stop()
			if d.resultsLost.Load() {
				return fmt.Errorf("stop sending: some results could not be recorded; those messages count as in flight")
			}
			return nil
		case <-timer.C:
		}
		if limit.act != nil {
			limit.act()
			d.nudge()
		}
	}
	return fmt.Errorf("stop sending: a channel's driver did not give up in time; its messages count as in flight")
}

// Abandon makes a stop of Run wait for nothing: messages in flight are cut off, and results that can't
// be recorded are given up. It is for a store that nothing can be written to any more.
func (d *Dispatcher) Abandon() {
	d.abort()
	d.stopRetrying()
	d.nudge()
}

// nudge wakes every channel sender.
func (d *Dispatcher) nudge() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, cs := range d.senders {
		cs.updates.nudge()
	}
}

// start starts a channel sender. d.mu is held.
func (d *Dispatcher) start(ctx context.Context, cs *channelSender) {
	d.loops.Go(func() { cs.loop(ctx) })
}

// Kick tells the scheduler that something new may be due.
func (d *Dispatcher) Kick() {
	select {
	case d.kicks <- struct{}{}:
	default:
	}
}

// Channels returns the status of every channel, sorted by application and name.
func (d *Dispatcher) Channels() []ChannelStatus {
	d.mu.Lock()
	lanes := make([]*channelSender, 0, len(d.senders))
	for _, cs := range d.senders {
		lanes = append(lanes, cs)
	}
	keys := make(map[*channelSender]channelKey, len(lanes))
	for k, cs := range d.senders {
		keys[cs] = k
	}
	d.mu.Unlock()
	out, now := make([]ChannelStatus, 0, len(lanes)), time.Now()
	for _, cs := range lanes {
		s := ChannelStatus{Application: keys[cs].application, Name: cs.name, Rate: cs.settings.Load().Rate, Limit: cs.limiter.currentRate(now),
			Sendings: int(cs.picker.count.Load()), InFlight: int(cs.recorder.unrecorded.Load())}
		cs.breaker.status(&s)
		cs.workersStatus(&s)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b ChannelStatus) int {
		return cmp.Or(cmp.Compare(a.Application, b.Application), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// HeldChannels returns the status of the channels that are held.
func (d *Dispatcher) HeldChannels() []ChannelStatus {
	return slices.DeleteFunc(d.Channels(), func(s ChannelStatus) bool { return !s.Held })
}

// InFlight returns the number of messages without a recorded result.
func (d *Dispatcher) InFlight() int {
	n := 0
	for _, s := range d.Channels() {
		n += s.InFlight
	}
	return n
}

// InFlightOf returns the number of messages of one sending that may be on their way to their
// recipients: those without a recorded result, and of these on remote channels only the ones
// that a worker has claimed.
func (d *Dispatcher) InFlightOf(id campaign.ID) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.runs[id]; r != nil {
		return int(r.unrecorded.Load() - r.remote.Load() + r.claimed.Load())
	}
	return 0
}
