package send

import (
	"context"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// schedule loads sendings that come into the lookahead until ctx ends. Its only timer runs for a
// second at most, and only while something waits for a time of day, because the wall clock may
// jump and timers stop while the machine is suspended.
func (d *Dispatcher) schedule(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var next, failedAt time.Time // of Due; failedAt by the monotonic clock
	ask, failures := true, 0
	for ctx.Err() == nil {
		now := d.now()
		if !failedAt.IsZero() && time.Since(failedAt) >= min(time.Second<<min(failures-1, 6), time.Minute) {
			ask = true
		}
		rested, again := d.tick(now)
		for _, id := range rested {
			d.startRun(ctx, id) // nothing may be due, but it may expire
		}
		if again || !next.IsZero() && !next.After(now.Add(lookahead)) {
			ask = true
		}
		if ask {
			ids, n, err := d.store.Due(now.Add(lookahead))
			ask = false
			if err != nil {
				failures++
				failedAt = time.Now()
				d.storeFailed("ask what is due", err)
			} else {
				if !failedAt.IsZero() {
					failedAt, failures = time.Time{}, 0
					d.storeRecovered()
				}
				next = n
				for _, id := range ids {
					d.startRun(ctx, id)
				}
			}
		}
		d.mu.Lock()
		waits := len(d.runs)+len(d.deferred)+len(d.held) > 0
		d.mu.Unlock()
		var tick <-chan time.Time
		if waits || !next.IsZero() || !failedAt.IsZero() {
			timer.Reset(maxSleep)
			tick = timer.C
		}
		select {
		case <-ctx.Done():
		case <-d.kicks:
			ask = true
		case answer := <-d.pings:
			close(answer)
		case <-tick:
		}
	}
}

// tick looks after everything with a time: sendings that are deferred, expire, are held by an
// answer or have nothing to do for a while. It returns those that have rested long enough, and
// whether to ask the store what is due.
func (d *Dispatcher) tick(now time.Time) (rested []campaign.ID, ask bool) {
	mono := time.Now()
	d.mu.Lock()
	for id, r := range d.deferred {
		if r.passed(now, mono) {
			delete(d.deferred, id)
			ask = true
			if !r.wall.IsZero() {
				rested = append(rested, id)
			}
		}
	}
	for id, at := range d.held {
		if mono.Before(at) {
			continue
		}
		delete(d.held, id)
		d.tasks.run(func() { d.tryHeld(id) })
	}
	runs := make([]*run, 0, len(d.runs))
	for _, r := range d.runs {
		runs = append(runs, r)
	}
	d.mu.Unlock()
	for _, r := range runs {
		if r.isHalted() || r.slices.Load() == nil {
			continue
		}
		if r.expired(now) {
			d.expire(r)
			continue
		}
		// The store knows when it is due again: release its rows and templates.
		if at := r.quietUntil(); at.Sub(now) > unloadAfter {
			rest := at.Add(-lookahead)
			if end := r.expiresAt(now); !end.IsZero() && end.Before(rest) {
				rest = end
			}
			r.mu.Lock()
			r.deferUntil = rest
			r.mu.Unlock()
			r.halt()
			r.nudge()
		}
	}
	return rested, ask
}

// unloadAfter is the shortest time without work for which a sending is unloaded.
const unloadAfter = 30 * time.Second

func (r deferral) passed(now, mono time.Time) bool {
	if !r.wall.IsZero() {
		return !now.Before(r.wall)
	}
	return !mono.Before(r.mono)
}

// startRun loads a sending that isn't loaded or deferred.
func (d *Dispatcher) startRun(ctx context.Context, id campaign.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, rests := d.deferred[id]; rests || d.runs[id] != nil || ctx.Err() != nil {
		return
	}
	r := newRun(d.sendCtx, id)
	d.runs[id] = r
	probe := d.probes[id]
	delete(d.probes, id)
	r.probe.Store(probe)
	d.tasks.run(func() { d.load(r) })
}

// expire closes a run: every message without an outcome becomes expired.
func (d *Dispatcher) expire(r *run) {
	if !r.enter() {
		return
	}
	r.close(campaign.Expired)
	d.tasks.run(func() {
		r.barrier()
		var n uint64
		d.persist("expire messages", func() (err error) {
			var unknown uint64
			n, unknown, err = d.store.Finalize(r.id, campaign.Expired)
			n += unknown
			return err
		})
		if n > 0 {
			d.log.Warn("messages expired before they could be sent", "sending", string(r.id), "messages", n)
		}
		d.leave(r)
	})
}

// leave ends a task on a run and concludes the run if it was the last one.
func (d *Dispatcher) leave(r *run) {
	if r.leave() {
		d.conclude(r)
	}
}

// conclude removes a halted run that has nothing in flight any more. Depending on why it was
// halted, it brings the sending to its end. Afterwards the sending may be loaded again.
func (d *Dispatcher) conclude(r *run) {
	d.tasks.run(func() {
		r.mu.Lock()
		finish, twice, rest, pause := r.finish, r.finalizeAgain, r.deferUntil, r.pause
		r.mu.Unlock()
		if o := r.closingAs(); o != campaign.Pending && !d.stopping.Load() {
			if twice {
				d.persist("close a sending", func() error {
					_, _, err := d.store.Finalize(r.id, o)
					return err
				})
			}
			if o == campaign.Canceled {
				d.persist("cancel a sending", func() error {
					_, _, err := d.store.SetState(r.id, cancelable, campaign.StateCanceled, reasonCanceled)
					return err
				})
			}
			finish = true
			failpoint.At(failpoint.Finalized)
		}
		balanced := true
		if finish && !d.stopping.Load() {
			failpoint.At(failpoint.BeforeFinish)
			d.persist("finish a sending", func() (err error) {
				balanced, err = d.store.Finish(r.id)
				return err
			})
			failpoint.At(failpoint.Finished)
		}
		if finish && !d.stopping.Load() || rest.IsZero() {
			d.changed(r.id) // the last results came after the change that halted it
		}
		d.mu.Lock()
		delete(d.runs, r.id)
		switch {
		case finish && !balanced:
			// A resend made messages pending again, or the run was wrong about them:
			// load it again, the first time at once.
			n := d.loadFailures[r.id]
			d.loadFailures[r.id] = n + 1
			pause = min(time.Second<<min(n, 10), time.Minute)
			if n == 2 && !d.hasOrphans(r.id) {
				d.log.Warn("a sending seems done but some messages have no outcome; loading it again and again", "sending", string(r.id))
			}
		case finish:
			delete(d.loadFailures, r.id)
			d.failures.forget(r.id)
			delete(d.unprepared, r.id)
		}
		if pause > 0 {
			d.deferred[r.id] = deferral{mono: time.Now().Add(pause), wait: r.preparing.Load()}
		} else if !rest.IsZero() {
			d.deferred[r.id] = deferral{wall: rest, wait: r.wait()}
		}
		d.mu.Unlock()
		close(r.concluded)
		d.Kick()
	})
}

// reload halts a run whose knowledge has proved outdated. It is loaded again after a moment.
func (d *Dispatcher) reload(r *run) {
	r.mu.Lock()
	r.pause = time.Second
	r.mu.Unlock()
	r.halt()
	r.nudge()
}

// nudge wakes the run's channel senders.
func (r *run) nudge() {
	r.mu.Lock()
	lanes := r.senders
	r.mu.Unlock()
	for _, cs := range lanes {
		cs.updates.nudge()
	}
}
