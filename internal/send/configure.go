package send

import (
	"cmp"
	"time"

	"campaignd/internal/campaign"
)

// Configure sets the applications and their channels, at start and at every
// reload. What is in flight ends with the driver it began with. The
// Dispatcher owns the drivers it is given: it closes one that a later call
// leaves out, once its last message has ended, and all of them when Run ends.
// A sending whose channel is gone is held and says so; it goes on when a later
// call brings the channel back.
func (d *Dispatcher) Configure(applications []Application) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.lanes
	d.apps, d.lanes = map[int64]*Application{}, map[laneKey]*lane{}
	for i := range applications {
		a := applications[i]
		d.apps[a.ID] = &a
		for _, set := range a.Channels {
			key := laneKey{a.ID, set.Name}
			l := old[key]
			delete(old, key)
			fresh := l == nil
			if fresh {
				l = newLane(d, a.ID, set.Name)
			}
			d.lanes[key] = l
			d.equip(l, &a, set)
			if fresh && d.running {
				d.start(d.runCtx, l)
			}
		}
	}
	for _, l := range old {
		if d.running {
			l.retire()
		} else if l.configured != nil {
			l.configured.release()
		}
	}
	// Every sending is read anew, so that it follows the new settings, driver and windows.
	for _, r := range d.runs {
		r.halt()
	}
	for _, l := range d.lanes {
		l.nudge()
	}
	for id := range d.orphans {
		d.held[id] = time.Time{}
	}
	clear(d.orphans)
	d.Kick()
}

// equip gives a lane its settings. d.mu is held.
func (d *Dispatcher) equip(l *lane, a *Application, set ChannelSettings) {
	set.Concurrency = max(set.Concurrency, 1)
	set.MaxAttempts = min(cmp.Or(max(set.MaxAttempts, 0), 6), campaign.MaxAttempts)
	set.RetryBase = cmp.Or(max(set.RetryBase, 0), time.Second)
	set.RetryMax = max(cmp.Or(max(set.RetryMax, 0), 10*time.Minute), set.RetryBase)
	set.OnUnknown = cmp.Or(set.OnUnknown, HoldUnknown)
	l.settings.Store(&set)
	l.limit.Store(int64(set.Concurrency))
	l.pace.configure(set.Rate)
	s := newSettings{app: laneApp{burst: a.Burst, grid: a.Grid}, door: door{windows: a.Windows}}
	if l.configured == nil || l.configured.Channel != set.Channel {
		s.driver = newDriver(set.Channel, d.closeDriver)
		l.configured = s.driver
	}
	l.renew(s)
}

// closeDriver closes a driver that nothing needs any more.
func (d *Dispatcher) closeDriver(drv *driver) {
	if err := drv.Close(); err != nil {
		d.log.Warn("cannot close a channel's driver", "error", err)
	}
}
