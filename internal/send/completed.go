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
func (q *completedQueue) add(p *batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batches = append(q.batches, p)
	q.count += len(p.items)
	return q.count >= q.threshold
}

// await says for how many messages to wake the lane, and how many there are.
func (q *completedQueue) wakeAt(want int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.threshold = want
	return q.count
}

// take empties the tray into a list.
func (q *completedQueue) take(into []*batch) []*batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = append(into, q.batches...)
	clear(q.batches)
	q.batches, q.count = q.batches[:0], 0
	return into
}
