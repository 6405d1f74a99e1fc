package send

import (
	"context"

	"campaignd/internal/campaign"
)

// Dispatcher sends what is due. It is safe for concurrent use.
type Dispatcher struct{}

// New makes a Dispatcher. It starts nothing and does no I/O.
func New(opts Options) *Dispatcher { panic("being built") }

// Configure sets the applications and their channels, at start and at every
// reload. What is in flight ends with the driver it began with. The
// Dispatcher owns the drivers it is given: it closes one that a later call
// leaves out, once its last message has ended, and all of them when Run ends.
// A sending whose channel is gone is held and says so.
func (d *Dispatcher) Configure(applications []Application) { panic("being built") }

// Run sends until ctx ends, then starts nothing new, gives what is in flight
// StopTimeout to end and be recorded, cuts it off, records that and
// returns. It may be called once. The error is nil unless results could not be recorded.
func (d *Dispatcher) Run(ctx context.Context) error { panic("being built") }

// Kick says that something new may be due: accepted, or to be sent again.
func (d *Dispatcher) Kick() { panic("being built") }

// Pause pauses a sending. After it has returned nothing new of it goes out; what
// is in flight ends and is recorded. It returns the state that the sending has
// then; with ErrState if that one can't be paused.
func (d *Dispatcher) Pause(ctx context.Context, id campaign.ID) (campaign.State, error) {
	panic("being built")
}

// Resume lets a paused or held sending go on, and tries the held channels it uses at once.
func (d *Dispatcher) Resume(ctx context.Context, id campaign.ID) (campaign.State, error) {
	panic("being built")
}

// Cancel gives what is not yet sent the outcome canceled and frees its slots. After it has returned nothing
// new goes out. The state becomes final when what is in flight is recorded: Cancel waits
// a little for that (2s, or until ctx ends), then returns the state as it stands.
func (d *Dispatcher) Cancel(ctx context.Context, id campaign.ID) (campaign.State, error) {
	panic("being built")
}

// Lanes is how every channel stands, by application and name.
func (d *Dispatcher) Lanes() []LaneStatus { panic("being built") }

// HeldChannels are the channels of Lanes that are held.
func (d *Dispatcher) HeldChannels() []LaneStatus { panic("being built") }

// InFlight is how many messages are marked without their result recorded.
func (d *Dispatcher) InFlight() int { panic("being built") }

// InFlightOf is InFlight for one sending.
func (d *Dispatcher) InFlightOf(id campaign.ID) int { panic("being built") }
