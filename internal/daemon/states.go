package daemon

import (
	"sync"

	"campaignd/internal/campaign"
)

// states remembers the last known state of each sending that hasn't ended.
// Notifications don't say what has changed, and only changes of state are counted.
type states struct {
	mu   sync.Mutex // guards last
	last map[campaign.ID]campaign.State
}

// changed records a state and reports whether it differs from the last one.
func (s *states) changed(id campaign.ID, state campaign.State) bool {
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

// loadStates reads the states at the end of the last run, so that they aren't counted again.
func (d *Daemon) loadStates() error {
	states, err := d.store.States()
	for id, state := range states {
		d.states.changed(id, state)
	}
	return err
}

// decided counts a drop that was accepted or rejected, and its rows.
func (d *Daemon) decided(id campaign.ID) {
	s, err := d.store.Header(id)
	if err != nil {
		d.log.Error("count a drop", "sending", id, "err", err)
		return
	}
	d.metrics.Drop(campaign.StateChecking) // every drop was checked first
	d.metrics.Rows(s.ApplicationID, s.Rows)
	d.countState(id)
}

// countState counts a sending that reached another state.
func (d *Daemon) countState(id campaign.ID) {
	s, err := d.store.Header(id)
	if err != nil {
		d.log.Error("count a change", "sending", id, "err", err)
		return
	}
	if d.states.changed(id, s.State) {
		d.metrics.Drop(s.State)
	}
}
