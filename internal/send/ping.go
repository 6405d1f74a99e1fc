package send

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotRunning is returned by Alive before Run has begun and once it is stopping.
var ErrNotRunning = errors.New("the dispatcher is not running")

// Alive asks the scheduler and every channel sender to answer, and returns nil when each loop has.
// It tests the path that sending takes, not a separate timer. It waits until ctx ends; the error
// names the loop that did not answer. A sender that waits for its channel, a rate or the disk does
// answer.
func (d *Dispatcher) Alive(ctx context.Context) error {
	runCtx := d.channels.running()
	if runCtx == nil {
		return ErrNotRunning
	}
	answered := make(chan struct{})
	select {
	case d.pings <- answered:
	case <-runCtx.Done():
		return ErrNotRunning
	case <-ctx.Done():
		return fmt.Errorf("the scheduler does not answer: %w", ctx.Err())
	}
	waits := map[*channelSender]chan struct{}{}
	for _, cs := range d.channels.all() {
		waits[cs] = cs.updates.ping()
	}
	for cs, answer := range waits {
		select {
		case <-answer:
		case <-ctx.Done():
			return fmt.Errorf("channel %q of application %d does not answer: %w", cs.name, cs.application, ctx.Err())
		}
	}
	return nil
}
