package send

import (
	"cmp"
	"time"

	"campaignd/internal/campaign"
)

// Configure sets the applications and their channels, at start and at every reload. Messages in
// flight end with the driver that they began with. The Dispatcher owns the drivers: it closes one
// that a later call leaves out once its last message has ended, and all of them when Run ends. A
// sending whose channel is gone is held with that reason until a later call brings the channel
// back.
func (d *Dispatcher) Configure(applications []Application) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.senders
	d.apps, d.senders = map[int64]*Application{}, map[channelKey]*channelSender{}
	for i := range applications {
		a := applications[i]
		d.apps[a.ID] = &a
		for _, set := range a.Channels {
			key := channelKey{a.ID, set.Name}
			cs := old[key]
			delete(old, key)
			fresh := cs == nil
			if fresh {
				cs = newChannelSender(d, a.ID, set.Name)
			}
			d.senders[key] = cs
			d.applySettings(cs, &a, set)
			if fresh && d.running {
				d.start(d.runCtx, cs)
			}
		}
	}
	for _, cs := range old {
		if d.running {
			cs.updates.stopWhenIdle()
		} else if cs.configured != nil {
			cs.configured.release()
		}
	}
	// Load every sending again, so that it follows the new settings, driver and windows.
	for _, r := range d.runs {
		r.halt()
	}
	for _, cs := range d.senders {
		cs.updates.nudge()
	}
	for id := range d.misconfigured {
		d.held[id] = time.Time{}
	}
	clear(d.misconfigured)
	d.Kick()
}

// applySettings gives a channel sender its settings. d.mu is held.
func (d *Dispatcher) applySettings(cs *channelSender, a *Application, set ChannelSettings) {
	set.Concurrency = max(set.Concurrency, 1)
	set.MaxAttempts = min(cmp.Or(max(set.MaxAttempts, 0), 6), campaign.MaxAttempts)
	set.RetryBase = cmp.Or(max(set.RetryBase, 0), time.Second)
	set.RetryMax = max(cmp.Or(max(set.RetryMax, 0), 10*time.Minute), set.RetryBase)
	set.RefusalsInARow = cmp.Or(max(set.RefusalsInARow, 0), 20)
	set.OnUnknown = cmp.Or(set.OnUnknown, HoldUnknown)
	cs.settings.Store(&set)
	cs.limits.concurrency.Store(int64(set.Concurrency))
	cs.limiter.configure(set.Rate)
	s := changedSettings{app: pacing{burst: a.Burst, grid: a.Grid}, rules: &rules{window: &sendingWindow{windows: a.Windows}, grid: a.Grid, slots: d.slotMeter(a.ID)}}
	if cs.configured == nil || cs.configured.Channel != set.Channel {
		s.driver = newDriver(set.Channel, d.closeDriver)
		cs.configured = s.driver
	}
	cs.updates.changeSettings(s)
}

// slotMeter returns the application's slot meter, which outlives reloads. d.mu is held.
func (d *Dispatcher) slotMeter(application int64) *slotMeter {
	m := d.slotMeters[application]
	if m == nil {
		m = &slotMeter{}
		d.slotMeters[application] = m
	}
	return m
}

// closeDriver closes a driver that is no longer used.
func (d *Dispatcher) closeDriver(drv *driver) {
	if err := drv.Close(); err != nil {
		d.log.Warn("cannot close a channel's driver", "error", err)
	}
}
