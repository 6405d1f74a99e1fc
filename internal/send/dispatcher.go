package send

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
)

// Dispatcher sends what is due. One goroutine, the scheduler, asks the store what comes into the
// lookahead and loads it; a channelSender for each channel of an application sends it. A
// Dispatcher is safe for concurrent use.
type Dispatcher struct {
	*environment
	stopTimeout time.Duration
	pings       chan chan struct{} // see Alive
	channels    *channels
	runs        *runs
	orphans     *orphans
}

// New makes a Dispatcher. It starts nothing and does no I/O.
func New(opts Options) *Dispatcher {
	env := newEnvironment(opts)
	channels, runs := newChannels(env), newRuns(env)
	orphans := &orphans{environment: env, channels: channels, runs: runs}
	channels.runs, runs.channels, runs.orphans = runs, channels, orphans
	return &Dispatcher{
		environment: env, stopTimeout: cmp.Or(opts.StopTimeout, 10*time.Second), pings: make(chan chan struct{}),
		channels: channels, runs: runs, orphans: orphans,
	}
}

// Configure sets the applications and their channels, at start and at every reload. Messages in
// flight end with the driver that they began with. The Dispatcher owns the drivers: it closes one
// that a later call leaves out once its last message has ended, and all of them when Run ends. A
// sending whose channel is gone is held with that reason until a later call brings the channel
// back.
func (d *Dispatcher) Configure(applications []Application) {
	gone := d.channels.configure(applications)
	d.runs.reconfigure()
	d.channels.retire(gone) // no run of before uses them any more
	d.channels.nudge()
	d.Kick()
}

// Run sends until ctx ends. Then it starts nothing new, gives messages in flight StopTimeout to
// end, cuts off the rest, records all results and returns. It may be called once. It returns an
// error if results could not be recorded; those messages count as in flight at a crash.
func (d *Dispatcher) Run(ctx context.Context) error {
	defer d.stopRetrying()
	defer d.abort()
	d.channels.countSlots()
	d.channels.run(ctx)

	d.schedule(ctx)

	d.stopping.Store(true)
	d.channels.stop()
	d.channels.nudge()
	ended := make(chan struct{})
	go func() {
		// Channel senders and workers start tasks until they end, so tasks end last.
		d.channels.loops.Wait()
		d.workers.Wait()
		d.runs.tasks.end()
		close(ended)
	}()
	const grace = 2 * time.Second
	for _, limit := range []struct {
		after time.Duration
		act   func()
	}{{d.stopTimeout, d.abort}, {grace, d.stopRetrying}, {grace, nil}} {
		select {
		case <-ended:
			if d.resultsLost.Load() {
				return fmt.Errorf("stop sending: some results could not be recorded; those messages count as in flight")
			}
			return nil
		case <-time.After(limit.after):
		}
		if limit.act != nil {
			limit.act()
			d.channels.nudge()
		}
	}
	return fmt.Errorf("stop sending: a channel's driver did not give up in time; its messages count as in flight")
}

// Abandon makes a stop of Run wait for nothing: messages in flight are cut off, and results that can't
// be recorded are given up. It is for a store that nothing can be written to any more.
func (d *Dispatcher) Abandon() {
	d.abort()
	d.stopRetrying()
	d.channels.nudge()
}

// Channels returns the status of every channel, sorted by application and name.
func (d *Dispatcher) Channels() []ChannelStatus {
	out := []ChannelStatus{}
	for _, cs := range d.channels.all() {
		out = append(out, cs.status(time.Now()))
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
	if r := d.runs.find(id); r != nil {
		return int(r.unrecorded.Load() - r.remote.Load() + r.claimed.Load())
	}
	return 0
}
