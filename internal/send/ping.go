package send

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotRunning is returned by Alive before Run has begun and once it is stopping.
var ErrNotRunning = errors.New("the dispatcher does not run")

// Alive asks the scheduler and then every lane for a sign of life and returns
// nil when each has come round its loop: the way that sending takes, not a timer
// beside it. It waits until ctx ends; the error names who did not answer. A lane
// that waits for its channel, a rate or the disk does answer; one that hangs doesn't.
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
		return fmt.Errorf("the scheduler does not come round: %w", ctx.Err())
	}
	d.mu.Lock()
	waits := make(map[channelKey]chan struct{}, len(d.senders))
	for key, cs := range d.senders {
		waits[key] = cs.ping()
	}
	d.mu.Unlock()
	for key, answer := range waits {
		select {
		case <-answer:
		case <-ctx.Done():
			return fmt.Errorf("channel %q of application %d does not come round: %w", key.name, key.application, ctx.Err())
		}
	}
	return nil
}

// ping has the lane close the channel when its loop comes round, or at once if it has ended.
func (cs *channelSender) ping() chan struct{} {
	answer := make(chan struct{})
	cs.mu.Lock()
	if cs.ended {
		close(answer)
	} else {
		cs.pings = append(cs.pings, answer)
	}
	cs.mu.Unlock()
	cs.nudge()
	return answer
}

// answer closes the pings of which the loop has come to know. l.mu is held.
func (cs *channelSender) answerPings() {
	for _, p := range cs.pings {
		close(p)
	}
	cs.pings = nil
}

// end answers for a loop that is over, now and from now on.
func (cs *channelSender) markEnded() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.ended = true
	cs.answerPings()
}
