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
	d.mu.Lock()
	running, runCtx := d.running, d.runCtx
	d.mu.Unlock()
	if !running {
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
	d.mu.Lock()
	waits := make(map[channelKey]chan struct{}, len(d.senders))
	for key, cs := range d.senders {
		waits[key] = cs.updates.ping()
	}
	d.mu.Unlock()
	for key, answer := range waits {
		select {
		case <-answer:
		case <-ctx.Done():
			return fmt.Errorf("channel %q of application %d does not answer: %w", key.name, key.application, ctx.Err())
		}
	}
	return nil
}
