package daemon

import (
	"sync"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// states is where each sending that isn't over stood when it was looked at last:
// changes are told without saying of what, and only those of the state count.
type states struct {
	mu   sync.Mutex // guards last
	last map[campaign.ID]campaign.State
}

// reached notes a state and reports whether it is another than before.
func (s *states) reached(id campaign.ID, state campaign.State) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[campaign.ID]campaign.State{}
	}
	before := s.last[id]
	if state.Final() {
		delete(s.last, id)
	} else {
		s.last[id] = state
	}
	return before != state
}

// knowStates begins with what the last run left, so that it isn't counted again.
func (d *Daemon) knowStates() error {
	heads, err := d.store.Sendings(store.Filter{States: []campaign.State{campaign.StateScheduled, campaign.StateSending,
		campaign.StatePaused, campaign.StateHeld}})
	for _, s := range heads {
		d.states.reached(s.ID, s.State)
	}
	return err
}

// decided counts a drop that was accepted or refused, and its rows.
func (d *Daemon) decided(id campaign.ID) {
	s, err := d.store.Header(id)
	if err != nil {
		d.log.Error("count a drop", "sending", id, "err", err)
		return
	}
	d.metrics.Drop(campaign.StateChecking) // it is where every drop comes from
	d.metrics.Rows(s.ApplicationID, s.Rows)
	d.moved(id)
}

// moved counts a sending that came into another state.
func (d *Daemon) moved(id campaign.ID) {
	s, err := d.store.Header(id)
	if err != nil {
		d.log.Error("count a change", "sending", id, "err", err)
		return
	}
	if d.states.reached(id, s.State) {
		d.metrics.Drop(s.State)
	}
}
