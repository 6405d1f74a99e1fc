package send

import "sync"

// completedQueue collects batches with results from the workers, so that the channel sender
// records them in groups. It wakes the sender when enough messages have arrived, not for each.
type completedQueue struct {
	mu        sync.Mutex // guards what follows
	batches   []*batch
	count     int // messages in them
	threshold int // messages that wake the sender
}

// add appends a batch and reports whether to wake the sender. It never blocks: the number of
// messages is limited by limits.unrecorded.
func (q *completedQueue) add(p *batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batches = append(q.batches, p)
	q.count += len(p.items)
	return q.count >= q.threshold
}

// wakeAt sets the number of messages that wakes the sender and returns how many there are.
func (q *completedQueue) wakeAt(want int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.threshold = want
	return q.count
}

// take empties the queue into a list.
func (q *completedQueue) take(into []*batch) []*batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = append(into, q.batches...)
	clear(q.batches)
	q.batches, q.count = q.batches[:0], 0
	return into
}
