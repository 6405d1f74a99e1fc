package send

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// Reasons of the states that a person asked for.
const (
	reasonPaused   = "paused on request"
	reasonCanceled = campaign.ReasonCanceled
)

// cancelWait limits Cancel's wait for messages in flight.
const cancelWait = 2 * time.Second

var (
	pausable   = []campaign.State{campaign.StateScheduled, campaign.StateSending, campaign.StateHeld}
	cancelable = []campaign.State{campaign.StateScheduled, campaign.StateSending, campaign.StatePaused, campaign.StateHeld}
)

// Pause pauses a sending. After it has returned no message of it is handed to a driver; messages
// in flight end and are recorded. It returns the sending's state, with ErrState if that state
// can't be paused. Pausing a paused sending is no error.
func (d *Dispatcher) Pause(_ context.Context, id campaign.ID) (campaign.State, error) {
	d.runs.halt(id)
	found, ok, err := d.store.SetState(id, pausable, campaign.StatePaused, reasonPaused)
	// A run that was loaded meanwhile records no more attempts, but those already recorded must not go out.
	d.runs.halt(id)
	if err != nil {
		d.Kick()
		return found, fmt.Errorf("pause sending %s: %w", id, err)
	}
	d.runs.release(id)
	if ok {
		d.changed(id)
		return campaign.StatePaused, nil
	}
	if found == campaign.StatePaused {
		return found, nil
	}
	d.Kick()
	return found, fmt.Errorf("pause sending %s: it is %s: %w", id, found, ErrState)
}

// HoldAll calls hold, which holds the sendings in the store. After it has returned no message of them
// is handed to a driver; messages in flight end and are recorded.
func (d *Dispatcher) HoldAll(hold func() error) error {
	d.runs.haltAll()
	err := hold()
	for _, id := range d.runs.haltAll() { // those that were loaded meanwhile, too
		d.changed(id)
	}
	d.Kick()
	return err
}

// Resume resumes a paused or held sending and lets its held channels try at once. For an active
// sending it does only the latter.
func (d *Dispatcher) Resume(_ context.Context, id campaign.ID) (campaign.State, error) {
	s, _, _, err := d.store.Load(id)
	if err != nil {
		return "", fmt.Errorf("resume sending %s: %w", id, err)
	}
	state := s.State
	if !state.Active() {
		var ok bool
		state, ok, err = d.runs.revive(id, campaign.StatePaused, campaign.StateHeld)
		if err != nil {
			return state, fmt.Errorf("resume sending %s: %w", id, err)
		}
		if !ok && !state.Active() {
			return state, fmt.Errorf("resume sending %s: it is %s: %w", id, state, ErrState)
		}
	}
	d.runs.prepareAgain(id)
	for _, name := range s.Channels {
		d.ResumeChannel(s.ApplicationID, name)
	}
	return state, nil
}

// Cancel gives the outcome canceled to every unsent message and frees its reservations. After it
// has returned nothing new goes out. The state becomes final when the results of messages in
// flight are recorded: Cancel waits up to 2 s for that (or until ctx ends), then returns the
// current state. ErrState comes with a state that can't be canceled.
func (d *Dispatcher) Cancel(ctx context.Context, id campaign.ID) (campaign.State, error) {
	fail := func(err error) error { return fmt.Errorf("cancel sending %s: %w", id, err) }
	s, _, _, err := d.store.Load(id)
	if err != nil {
		return "", fail(err)
	}
	if !slices.Contains(cancelable, s.State) {
		if s.State == campaign.StateCanceled {
			return s.State, nil
		}
		return s.State, fail(fmt.Errorf("it is %s: %w", s.State, ErrState))
	}
	r := d.runs.claim(id)
	r.close(campaign.Canceled)
	r.barrier()
	if _, _, err := d.store.Finalize(id, campaign.Canceled); err != nil {
		r.unclose()
		d.runs.leave(r)
		return s.State, fail(err)
	}
	failpoint.At(failpoint.Finalized)
	r.mu.Lock()
	if r.canceledAt.IsZero() {
		r.canceledAt = d.now()
	}
	r.mu.Unlock()
	d.runs.release(id)
	d.runs.undefer(id)
	d.runs.leave(r)
	select {
	case <-r.concluded:
	case <-time.After(cancelWait):
	case <-ctx.Done():
	}
	s, _, _, err = d.store.Load(id)
	if err != nil {
		return "", fail(err)
	}
	return s.State, nil
}

// Reschedule runs change, which gives a sending that has not begun another time in the store.
// While it runs no message of the sending goes out; afterwards messages go out at their new
// times. It returns change's error, after which everything continues as before.
func (d *Dispatcher) Reschedule(ctx context.Context, id campaign.ID, change func() error) error {
	r := d.runs.claim(id)
	r.halt()
	r.barrier()
	err := change()
	d.runs.leave(r)
	if err == nil { // whatever the run knew of the former times must not delay the sending
		select {
		case <-r.concluded:
		case <-ctx.Done():
		}
		d.runs.undefer(id)
		d.changed(id)
	}
	d.Kick()
	return err
}
