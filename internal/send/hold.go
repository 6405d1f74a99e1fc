package send

import (
	"fmt"
	"time"

	"campaignd/internal/campaign"
)

// hold holds a sending because an answer rejected all of its messages, not one. It is tried again
// by itself after again; 0: never.
func (rs *runs) hold(r *run, reason string, again time.Duration) {
	if r.isHalted() || !r.enter() {
		return
	}
	r.halt()
	rs.tasks.run(func() {
		ok := false
		rs.persist("hold a sending", func() (err error) {
			_, ok, err = rs.store.SetState(r.id, []campaign.State{campaign.StateScheduled, campaign.StateSending}, campaign.StateHeld, reason)
			return err
		})
		if ok {
			if again > 0 {
				rs.log.Warn("sending held: fix the cause, then resume it or wait for the next try",
					"sending", string(r.id), "reason", reason, "next", again.String())
				rs.mu.Lock()
				rs.held[r.id] = time.Now().Add(again)
				rs.mu.Unlock()
			} else {
				rs.log.Warn("sending held until somebody resumes it", "sending", string(r.id), "reason", reason)
			}
			rs.changed(r.id)
		}
		r.nudge()
		rs.leave(r)
		rs.Kick()
	})
}

// holdMisconfigured holds a sending that the configured channels can't send, until the next
// Configure.
func (rs *runs) holdMisconfigured(r *run, cause error) {
	reason := cause.Error() + "; it continues once the configuration is corrected and read again"
	rs.log.Error("sending held until the configuration is fixed", "sending", string(r.id), "reason", reason)
	rs.persist("hold a sending", func() error {
		_, _, err := rs.store.SetState(r.id, []campaign.State{campaign.StateScheduled, campaign.StateSending}, campaign.StateHeld, reason)
		return err
	})
	rs.mu.Lock()
	rs.misconfigured[r.id] = true
	rs.mu.Unlock()
	r.halt()
	rs.changed(r.id)
}

// tryHeld resumes a held sending with one message at a time, unless a person has moved it
// meanwhile.
func (rs *runs) tryHeld(id campaign.ID) {
	state, ok, err := rs.revive(id, campaign.StateHeld)
	if err != nil {
		rs.log.Error("cannot try a held sending again", "sending", string(id), "err", err)
		rs.mu.Lock()
		rs.held[id] = time.Now().Add(rs.retryHold)
		rs.mu.Unlock()
		return
	}
	if ok {
		rs.log.Info("trying a held sending again", "sending", string(id), "state", string(state))
	}
}

// revive returns a sending in one of the states from to scheduled or sending. One that was held is
// loaded with one message at a time.
func (rs *runs) revive(id campaign.ID, from ...campaign.State) (campaign.State, bool, error) {
	s, _, _, err := rs.store.Load(id)
	if err != nil {
		return "", false, fmt.Errorf("load sending: %w", err)
	}
	to := campaign.StateScheduled
	if !s.StartedAt.IsZero() {
		to = campaign.StateSending
	}
	if s.State == campaign.StateHeld {
		rs.mu.Lock()
		rs.probes[id] = true
		rs.mu.Unlock()
	}
	found, ok, err := rs.store.SetState(id, from, to, "")
	if err != nil || !ok {
		rs.mu.Lock()
		delete(rs.probes, id)
		rs.mu.Unlock()
		return found, false, err
	}
	rs.mu.Lock()
	delete(rs.held, id)
	delete(rs.misconfigured, id)
	delete(rs.deferred, id)
	rs.mu.Unlock()
	rs.changed(id)
	rs.Kick()
	return to, true, nil
}

// setBlocked counts the cursors of a run that a rule of our own blocks, and records when the
// first begins to be blocked and the last no longer is. That time doesn't count towards
// max_lateness.
func (rs *runs) setBlocked(r *run, blocked bool) {
	now := rs.now()
	r.mu.Lock()
	before := r.blocked > 0
	if blocked {
		r.blocked++
	} else {
		r.blocked--
	}
	after := r.blocked > 0
	if before == after {
		r.mu.Unlock()
		return
	}
	if after {
		r.blockedSince.Store(now.UnixNano())
	} else {
		r.blockedFor.Add(max(now.UnixNano()-r.blockedSince.Swap(0), 0))
	}
	r.mu.Unlock()
	if !r.enter() {
		return
	}
	rs.tasks.run(func() {
		if err := rs.store.SetBlocked(r.id, after, now); err != nil {
			rs.log.Error("cannot record for how long a sending was blocked", "sending", string(r.id), "err", err)
		}
		rs.leave(r)
	})
}
