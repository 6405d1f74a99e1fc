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
func (rs *runs) load(r *run) {
	err := rs.prepare(r)
	notPrepared, waits := errors.AsType[*NotPrepared](err)
	switch {
	case r.isHalted():
	case waits && notPrepared.Hold:
		rs.hold(r, notPrepared.Reason, cmp.Or(notPrepared.RetryAfter, rs.retryHold))
	case waits:
		rs.postpone(r, notPrepared)
	case errors.Is(err, errMisconfigured):
		rs.holdMisconfigured(r, err)
	case err != nil:
		rs.mu.Lock()
		n := rs.loadFailures[r.id]
		rs.loadFailures[r.id] = n + 1
		rs.mu.Unlock()
		if n == 0 {
			rs.log.Error("cannot load a sending; trying again", "sending", string(r.id), "err", err)
		}
		r.haltFor(min(time.Second<<min(n, 10), time.Minute))
	}
	rs.leave(r)
}

// prepareRetry is the wait after an item couldn't be prepared, if the channel asks for none.
const prepareRetry = 30 * time.Second

// postpone loads a sending again later that can't be prepared now.
func (rs *runs) postpone(r *run, why *NotPrepared) {
	pause, now := cmp.Or(why.RetryAfter, prepareRetry), rs.now()
	rs.mu.Lock()
	since, before := rs.unprepared[r.id]
	if !before {
		since = now
		rs.unprepared[r.id] = since
	}
	rs.mu.Unlock()
	if !before {
		rs.log.Warn("a sending can't begin yet; trying again", "sending", string(r.id), "reason", why.Reason)
	}
	r.preparing.Store(&Wait{Reason: why.Reason, Since: since, Until: now.Add(pause)})
	r.haltFor(pause)
	rs.changed(r.id)
}

func (rs *runs) prepare(r *run) error {
	now := rs.now()
	s, slices, counts, err := rs.store.Load(r.id)
	if err != nil {
		return fmt.Errorf("load sending: %w", err)
	}
	if !s.State.Active() {
		r.halt()
		return nil
	}
	if counts[campaign.Canceled] > 0 {
		// A cancel was interrupted: nothing else gives an active sending this outcome.
		r.close(campaign.Canceled)
		return nil
	}
	app := rs.channels.app(s.ApplicationID)
	if app == nil {
		return fmt.Errorf("%w: application %d is not configured", errMisconfigured, s.ApplicationID)
	}
	if !s.BlockedSince.IsZero() { // the previous process ended while it was blocked
		s.SetBlocked(false, now)
		if err := rs.store.SetBlocked(r.id, false, now); err != nil {
			return fmt.Errorf("record blocked time: %w", err)
		}
	}
	route := newSliceSnapshot(s, slices, app.Windows, time.Time{})
	if app.Grid != nil && route.hasPassed(now) {
		if slices, err = rs.replanNow(r.id, *app.Grid, now); err != nil {
			return err
		}
		route = newSliceSnapshot(s, slices, app.Windows, now)
	}
	r.s = s
	r.slices.Store(route)
	if r.expired(now) {
		rs.expire(r) // before a channel sender sees it
		return nil
	}
	r.started.Store(!s.StartedAt.IsZero())
	feeds, lanes, err := rs.cursorsOf(r, s)
	if err != nil {
		return err
	}
	retries, err := rs.store.Retries(r.id, 0)
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
	rs.mu.Lock()
	delete(rs.loadFailures, r.id)
	delete(rs.unprepared, r.id)
	rs.mu.Unlock()

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
func (rs *runs) cursorsOf(r *run, s *campaign.Sending) ([]*sendingCursor, []*channelSender, error) {
	var feeds []*sendingCursor
	var lanes []*channelSender
	for i, name := range s.Channels {
		cs := rs.channels.sender(s.ApplicationID, name)
		if cs == nil {
			return nil, nil, fmt.Errorf("%w: application %d has no channel %q", errMisconfigured, s.ApplicationID, name)
		}
		cur := &sendingCursor{run: r, channel: uint8(i), nextAt: 1}
		for n, c := range campaign.ContentsFor(s.Contents, name) {
			channel := cs.settings.Load().Channel
			item, err := rs.prepareItem(r, channel, name, n+1, c.Item)
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
func (rs *runs) prepareItem(r *run, channel Channel, name string, message int, item json.RawMessage) (json.RawMessage, error) {
	if remote, ok := channel.(Remote); ok {
		channel = remote.Rules()
	}
	media, ok := channel.(MediaChannel)
	if !ok || len(r.s.Media) == 0 {
		return item, nil
	}
	r.preparing.Store(&Wait{Reason: fmt.Sprintf("the files of message %d are being uploaded to channel %s", message, name), Since: rs.now()})
	defer r.preparing.Store(nil)
	return media.Prepare(r.loading, item, r.s.Media)
}

// replanNow plans the passed slices again and returns all slices.
func (rs *runs) replanNow(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, error) {
	_, expired, err := rs.store.Replan(id, grid, now)
	if err != nil {
		return nil, fmt.Errorf("plan passed slices again: %w", err)
	}
	if expired > 0 {
		rs.log.Warn("messages expired: no slot before T + 48h has room for them", "sending", string(id), "messages", expired)
	}
	_, slices, _, err := rs.store.Load(id)
	if err != nil {
		return nil, fmt.Errorf("load slices: %w", err)
	}
	rs.changed(id)
	return slices, nil
}

// replan plans a loaded run again, unless that is under way.
func (rs *runs) replan(r *run, grid *plan.Grid) {
	if grid == nil || r.isHalted() || !r.replanning.CompareAndSwap(false, true) {
		return
	}
	if !r.enter() {
		return
	}
	rs.tasks.run(func() {
		now := rs.now()
		slices, err := rs.replanNow(r.id, *grid, now)
		if err != nil {
			rs.log.Error("cannot plan a sending again; trying again", "sending", string(r.id), "err", err)
			r.haltFor(time.Second)
		} else {
			r.slices.Store(newSliceSnapshot(r.s, slices, nil, now)) // sliced: windows don't matter
			r.replanning.Store(false)
		}
		r.nudge()
		rs.leave(r)
	})
}
