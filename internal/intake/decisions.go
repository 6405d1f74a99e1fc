package intake

import (
	"context"
	"sync"

	"campaignd/internal/campaign"
)

// decisions lets uploads wait until their drop is accepted or refused.
type decisions struct {
	mu      sync.Mutex // guards waiting
	waiting map[campaign.ID]chan struct{}
}

// begin makes a later await wait for a decision. It must be called before the decision can be made.
func (d *decisions) begin(id campaign.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = map[campaign.ID]chan struct{}{}
	}
	d.waiting[id] = make(chan struct{})
}

// end lets go all that wait for a decision.
func (d *decisions) end(id campaign.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.waiting[id]; c != nil {
		close(c)
		delete(d.waiting, id)
	}
}

// await returns when the decision was made, or ctx has ended.
func (d *decisions) await(ctx context.Context, id campaign.ID) {
	d.mu.Lock()
	c := d.waiting[id]
	d.mu.Unlock()
	if c == nil {
		return
	}
	select {
	case <-c:
	case <-ctx.Done():
	}
}

// AwaitDecision returns when an uploaded drop was accepted or refused, or ctx has ended.
func (in *Intake) AwaitDecision(ctx context.Context, id campaign.ID) { in.decisions.await(ctx, id) }
