package send

import "sync"

// tray is where workers lay down what they have sent, for the lane to take up and
// record in groups. It wakes the lane when as much lies there as it waits for,
// not for each.
type completedQueue struct {
	mu        sync.Mutex // guards what follows
	batches   []*batch
	count     int // messages in them
	threshold int // messages the lane waits for
}

// put lays down a parcel; true if the lane is to be woken. It never blocks: what
// can lie there is bounded by what may be marked.
func (t *completedQueue) add(p *batch) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches = append(t.batches, p)
	t.count += len(p.items)
	return t.count >= t.threshold
}

// await says for how many messages to wake the lane, and how many there are.
func (t *completedQueue) wakeAt(want int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.threshold = want
	return t.count
}

// take empties the tray into a list.
func (t *completedQueue) take(into []*batch) []*batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	into = append(into, t.batches...)
	clear(t.batches)
	t.batches, t.count = t.batches[:0], 0
	return into
}
