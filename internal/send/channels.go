package send

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// channelKey identifies a channel of an application.
type channelKey struct {
	application int64
	name        string
}

// channels holds the configured applications, with a sender for each of their channels.
type channels struct {
	*environment
	runs  *runs
	loops sync.WaitGroup // channel senders

	mu         sync.Mutex      // guards what follows; never held during a call of Store
	ctx        context.Context // Run's, for channels that a reload brings; nil: not running
	apps       map[int64]*Application
	senders    map[channelKey]*channelSender
	slotMeters map[int64]*slotMeter // by application
}

func newChannels(env *environment) *channels {
	return &channels{environment: env, apps: map[int64]*Application{}, senders: map[channelKey]*channelSender{}, slotMeters: map[int64]*slotMeter{}}
}

// app returns an application, or nil if it isn't configured.
func (chs *channels) app(id int64) *Application {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	return chs.apps[id]
}

// sender returns a channel's sender, or nil if the channel isn't configured.
func (chs *channels) sender(application int64, name string) *channelSender {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	return chs.senders[channelKey{application, name}]
}

// all returns the senders.
func (chs *channels) all() []*channelSender {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	return slices.Collect(maps.Values(chs.senders))
}

// nudge wakes every channel sender.
func (chs *channels) nudge() {
	for _, cs := range chs.all() {
		cs.updates.nudge()
	}
}

// run starts the channel senders.
func (chs *channels) run(ctx context.Context) {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	chs.ctx = ctx
	for _, cs := range chs.senders {
		chs.start(cs)
	}
}

// start starts a channel sender. chs.mu is held.
func (chs *channels) start(cs *channelSender) {
	ctx := chs.ctx
	chs.loops.Go(func() { cs.loop(ctx) })
}

// stop withdraws what no worker has claimed. The loops end with the context of run.
func (chs *channels) stop() {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	chs.ctx = nil
	for _, cs := range chs.senders {
		cs.deliverer.withdrawHalted()
	}
}

// running returns the context of run, or nil before run and after stop.
func (chs *channels) running() context.Context {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	return chs.ctx
}

// configure replaces the applications and returns the senders of channels that are gone.
func (chs *channels) configure(applications []Application) (gone []*channelSender) {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	old := chs.senders
	chs.apps, chs.senders = map[int64]*Application{}, map[channelKey]*channelSender{}
	for i := range applications {
		a := applications[i]
		chs.apps[a.ID] = &a
		for _, set := range a.Channels {
			key := channelKey{a.ID, set.Name}
			cs := old[key]
			delete(old, key)
			fresh := cs == nil
			if fresh {
				cs = newChannelSender(chs.environment, chs.runs, a.ID, set.Name)
			}
			chs.senders[key] = cs
			chs.applySettings(cs, &a, set)
			if fresh && chs.ctx != nil {
				chs.start(cs)
			}
		}
	}
	return slices.Collect(maps.Values(old))
}

// retire ends the senders of channels that are gone, once their messages in flight have ended.
func (chs *channels) retire(gone []*channelSender) {
	chs.mu.Lock()
	defer chs.mu.Unlock()
	for _, cs := range gone {
		if chs.ctx != nil {
			cs.updates.stopWhenIdle()
		} else if cs.configured != nil {
			cs.configured.release()
		}
	}
}

// applySettings gives a channel sender its settings. chs.mu is held.
func (chs *channels) applySettings(cs *channelSender, a *Application, set ChannelSettings) {
	set.Concurrency = max(set.Concurrency, 1)
	set.MaxAttempts = min(cmp.Or(max(set.MaxAttempts, 0), 6), campaign.MaxAttempts)
	set.RetryBase = cmp.Or(max(set.RetryBase, 0), time.Second)
	set.RetryMax = max(cmp.Or(max(set.RetryMax, 0), 10*time.Minute), set.RetryBase)
	set.RefusalsInARow = cmp.Or(max(set.RefusalsInARow, 0), 20)
	set.OnUnknown = cmp.Or(set.OnUnknown, HoldUnknown)
	cs.settings.Store(&set)
	cs.limits.concurrency.Store(int64(set.Concurrency))
	cs.limiter.configure(set.Rate)
	s := changedSettings{app: pacing{burst: a.Burst, grid: a.Grid}, rules: &rules{window: &sendingWindow{windows: a.Windows}, grid: a.Grid, slots: chs.slotMeter(a.ID)}}
	if cs.configured == nil || cs.configured.Channel != set.Channel {
		s.driver = newDriver(set.Channel, chs.closeDriver)
		cs.configured = s.driver
	}
	cs.updates.changeSettings(s)
}

// slotMeter returns the application's slot meter, which outlives reloads. chs.mu is held.
func (chs *channels) slotMeter(application int64) *slotMeter {
	m := chs.slotMeters[application]
	if m == nil {
		m = &slotMeter{}
		chs.slotMeters[application] = m
	}
	return m
}

// closeDriver closes a driver that is no longer used.
func (chs *channels) closeDriver(drv *driver) {
	if err := drv.Close(); err != nil {
		chs.log.Warn("cannot close a channel's driver", "err", err)
	}
}

// countSlots makes the slot meters know what the current slots have seen before this start.
func (chs *channels) countSlots() {
	chs.mu.Lock()
	grids := map[int64]*plan.Grid{}
	for id, a := range chs.apps {
		if a.Grid != nil {
			grids[id] = a.Grid
		}
	}
	chs.mu.Unlock()
	for id, g := range grids {
		slot := g.Number(chs.now())
		used, err := chs.store.AttemptsSince(id, g.Start(slot))
		if err != nil {
			chs.log.Error("can't count what the current slot has seen; nothing more goes out in it", "application", id, "err", err)
			used = uint64(g.Capacity)
		}
		chs.mu.Lock()
		m := chs.slotMeter(id)
		chs.mu.Unlock()
		m.begin(slot, used)
	}
}
