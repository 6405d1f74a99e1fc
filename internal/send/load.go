package send

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// errMisconfigured is returned when the configured channels can't send a sending.
var errMisconfigured = errors.New("the configured channels can't send it")

// load reads a sending from the store and hands its cursors to the channel senders. It ends the
// task that newRun counts in open.
func (d *Dispatcher) load(r *run) {
	err := d.prepare(r)
	notPrepared, waits := errors.AsType[*NotPrepared](err)
	switch {
	case r.isHalted():
	case waits && notPrepared.Hold:
		d.hold(r, notPrepared.Reason, cmp.Or(notPrepared.RetryAfter, d.retryHold))
	case waits:
		d.postpone(r, notPrepared)
	case errors.Is(err, errMisconfigured):
		d.holdMisconfigured(r, err)
	case err != nil:
		d.mu.Lock()
		n := d.loadFailures[r.id]
		d.loadFailures[r.id] = n + 1
		d.mu.Unlock()
		if n == 0 {
			d.log.Error("cannot load a sending; trying again", "sending", string(r.id), "error", err)
		}
		r.mu.Lock()
		r.pause = min(time.Second<<min(n, 10), time.Minute)
		r.mu.Unlock()
		r.halt()
	}
	d.leave(r)
}

// prepareRetry is the wait after an item couldn't be prepared, if the channel asks for none.
const prepareRetry = 30 * time.Second

// postpone loads a sending again later that can't be prepared now.
func (d *Dispatcher) postpone(r *run, why *NotPrepared) {
	pause, now := cmp.Or(why.RetryAfter, prepareRetry), d.now()
	d.mu.Lock()
	since, before := d.unprepared[r.id]
	if !before {
		since = now
		d.unprepared[r.id] = since
	}
	d.mu.Unlock()
	if !before {
		d.log.Warn("a sending can't begin yet; trying again", "sending", string(r.id), "reason", why.Reason)
	}
	r.preparing.Store(&Wait{Reason: why.Reason, Since: since, Until: now.Add(pause)})
	r.mu.Lock()
	r.pause = pause
	r.mu.Unlock()
	r.halt()
	d.changed(r.id)
}

func (d *Dispatcher) prepare(r *run) error {
	now := d.now()
	s, slices, counts, err := d.store.Load(r.id)
	if err != nil {
		return fmt.Errorf("load sending: %w", err)
	}
	if !s.State.Active() {
		r.halt()
		return nil
	}
	if counts[campaign.Canceled] > 0 {
		// A crash interrupted a cancel: nothing else gives an active sending this outcome.
		r.mu.Lock()
		r.finalizeAgain = true
		r.mu.Unlock()
		r.close(campaign.Canceled)
		return nil
	}
	d.mu.Lock()
	app := d.apps[s.ApplicationID]
	d.mu.Unlock()
	if app == nil {
		return fmt.Errorf("%w: application %d is not configured", errMisconfigured, s.ApplicationID)
	}
	if !s.BlockedSince.IsZero() { // the previous process ended while it was blocked
		s.SetBlocked(false, now)
		if err := d.store.SetBlocked(r.id, false, now); err != nil {
			return fmt.Errorf("record blocked time: %w", err)
		}
	}
	route := newSliceSnapshot(s, slices, app.Windows, time.Time{})
	if app.Grid != nil && route.hasPassed(now) {
		if slices, err = d.replanNow(r.id, *app.Grid, now); err != nil {
			return err
		}
		route = newSliceSnapshot(s, slices, app.Windows, now)
	}
	r.s = s
	r.slices.Store(route)
	if r.expired(now) {
		d.expire(r) // before a channel sender sees it
		return nil
	}
	r.started.Store(!s.StartedAt.IsZero())
	feeds, lanes, err := d.cursorsOf(r, s)
	if err != nil {
		return err
	}
	retries, err := d.store.Retries(r.id)
	if err != nil {
		return fmt.Errorf("load retries: %w", err)
	}
	for _, e := range retries {
		b := queuedMessage{at: max(e.NextAt.UnixNano(), 1), row: e.Row, message: e.Message, attempts: e.Attempts, retry: true}
		for _, cur := range feeds {
			cur.queue.add(b) // the row's channel is known when it is read; other cursors skip it
		}
	}
	if len(feeds) == 1 && len(retries) > 0 {
		feeds[0].noteRetries(retries)
	}
	d.mu.Lock()
	delete(d.loadFailures, r.id)
	delete(d.unprepared, r.id)
	d.mu.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isHalted() {
		return nil
	}
	if len(feeds) == 0 {
		r.finish = true
		r.halt()
		return nil
	}
	r.senders, r.cursors = lanes, feeds
	r.open += len(feeds)
	for i, cur := range feeds {
		lanes[i].updates.addCursor(cur)
	}
	return nil
}

// cursorsOf makes a cursor for each of the sending's channels and finds its channel sender.
func (d *Dispatcher) cursorsOf(r *run, s *campaign.Sending) ([]*sendingCursor, []*channelSender, error) {
	var feeds []*sendingCursor
	var lanes []*channelSender
	for i, name := range s.Channels {
		d.mu.Lock()
		cs := d.senders[channelKey{s.ApplicationID, name}]
		d.mu.Unlock()
		if cs == nil {
			return nil, nil, fmt.Errorf("%w: application %d has no channel %q", errMisconfigured, s.ApplicationID, name)
		}
		cur := &sendingCursor{run: r, channel: uint8(i), nextAt: 1}
		for n, c := range campaign.ContentsFor(s.Contents, name) {
			channel := cs.settings.Load().Channel
			item, err := d.prepareItem(r, channel, name, n+1, c.Item)
			if err != nil {
				return nil, nil, err
			}
			t, err := channel.Compile(item, s.Variables)
			if err != nil {
				return nil, nil, fmt.Errorf("%w: message %d for channel %q: %v", errMisconfigured, n+1, name, err)
			}
			cur.templates = append(cur.templates, t)
		}
		feeds, lanes = append(feeds, cur), append(lanes, cs)
	}
	return feeds, lanes, nil
}

// prepareItem returns the item as it is compiled: with what the channel's receiver calls its files.
func (d *Dispatcher) prepareItem(r *run, channel Channel, name string, message int, item json.RawMessage) (json.RawMessage, error) {
	if remote, ok := channel.(Remote); ok {
		channel = remote.Rules()
	}
	media, ok := channel.(MediaChannel)
	if !ok || len(r.s.Media) == 0 {
		return item, nil
	}
	r.preparing.Store(&Wait{Reason: fmt.Sprintf("the files of message %d are being uploaded to channel %s", message, name), Since: d.now()})
	defer r.preparing.Store(nil)
	return media.Prepare(r.loading, item, r.s.Media)
}

// replanNow plans the passed slices again and returns all slices.
func (d *Dispatcher) replanNow(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, error) {
	_, expired, err := d.store.Replan(id, grid, now)
	if err != nil {
		return nil, fmt.Errorf("plan passed slices again: %w", err)
	}
	if expired > 0 {
		d.log.Warn("messages expired: no slot before T + 48h has room for them", "sending", string(id), "messages", expired)
	}
	_, slices, _, err := d.store.Load(id)
	if err != nil {
		return nil, fmt.Errorf("load slices: %w", err)
	}
	d.changed(id)
	return slices, nil
}

// replan plans a loaded run again, unless that is under way.
func (d *Dispatcher) replan(r *run, grid *plan.Grid) {
	if grid == nil || r.isHalted() || !r.replanning.CompareAndSwap(false, true) {
		return
	}
	if !r.enter() {
		return
	}
	d.tasks.run(func() {
		now := d.now()
		slices, err := d.replanNow(r.id, *grid, now)
		if err != nil {
			d.log.Error("cannot plan a sending again; trying again", "sending", string(r.id), "error", err)
			r.mu.Lock()
			r.pause = time.Second
			r.mu.Unlock()
			r.halt()
		} else {
			r.slices.Store(newSliceSnapshot(r.s, slices, nil, now)) // sliced: windows don't matter
			r.replanning.Store(false)
		}
		r.nudge()
		d.leave(r)
	})
}

// hold holds a sending because an answer rejected all of its messages, not one. It is tried again
// by itself after again; 0: never.
func (d *Dispatcher) hold(r *run, reason string, again time.Duration) {
	if r.isHalted() || !r.enter() {
		return
	}
	r.halt()
	d.tasks.run(func() {
		ok := false
		d.persist("hold a sending", func() (err error) {
			_, ok, err = d.store.SetState(r.id, []campaign.State{campaign.StateScheduled, campaign.StateSending}, campaign.StateHeld, reason)
			return err
		})
		if ok {
			d.log.Warn("sending held: fix the cause, then resume it or wait for the next try",
				"sending", string(r.id), "reason", reason, "next", again)
			d.mu.Lock()
			if again > 0 {
				d.held[r.id] = time.Now().Add(again)
			}
			d.mu.Unlock()
			d.changed(r.id)
		}
		r.nudge()
		d.leave(r)
		d.Kick()
	})
}

// holdMisconfigured holds a sending that the configured channels can't send, until the next
// Configure.
func (d *Dispatcher) holdMisconfigured(r *run, cause error) {
	reason := cause.Error()
	d.log.Error("sending held until the configuration is fixed", "sending", string(r.id), "reason", reason)
	d.persist("hold a sending", func() error {
		_, _, err := d.store.SetState(r.id, []campaign.State{campaign.StateScheduled, campaign.StateSending}, campaign.StateHeld, reason)
		return err
	})
	d.mu.Lock()
	d.misconfigured[r.id] = true
	d.mu.Unlock()
	r.halt()
	d.changed(r.id)
}

// tryHeld resumes a held sending with one message at a time, unless a person has moved it
// meanwhile.
func (d *Dispatcher) tryHeld(id campaign.ID) {
	state, ok, err := d.revive(id, campaign.StateHeld)
	if err != nil {
		d.log.Error("cannot try a held sending again", "sending", string(id), "error", err)
		d.mu.Lock()
		d.held[id] = time.Now().Add(d.retryHold)
		d.mu.Unlock()
		return
	}
	if ok {
		d.log.Info("trying a held sending again", "sending", string(id), "state", string(state))
	}
}

// revive returns a sending in one of the states from to scheduled or sending. One that was held is
// loaded with one message at a time.
func (d *Dispatcher) revive(id campaign.ID, from ...campaign.State) (campaign.State, bool, error) {
	s, _, _, err := d.store.Load(id)
	if err != nil {
		return "", false, fmt.Errorf("load sending: %w", err)
	}
	to := campaign.StateScheduled
	if !s.StartedAt.IsZero() {
		to = campaign.StateSending
	}
	if s.State == campaign.StateHeld {
		d.mu.Lock()
		d.probes[id] = true
		d.mu.Unlock()
	}
	found, ok, err := d.store.SetState(id, from, to, "")
	if err != nil || !ok {
		d.mu.Lock()
		delete(d.probes, id)
		d.mu.Unlock()
		return found, false, err
	}
	d.mu.Lock()
	delete(d.held, id)
	delete(d.misconfigured, id)
	delete(d.deferred, id)
	d.mu.Unlock()
	d.changed(id)
	d.Kick()
	return to, true, nil
}
