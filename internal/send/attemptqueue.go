package send

import "time"

// attemptQueue holds recorded attempts that wait for their time or a token, by time. It belongs to
// the channel sender's loop.
type attemptQueue struct {
	limiter *rateLimiter
	out     *deliverer
	batches []*batch
}

// empty reports whether nothing waits.
func (q *attemptQueue) empty() bool { return len(q.batches) == 0 }

// count counts the recorded attempts that wait for tokens and those that wait for their time.
func (q *attemptQueue) count(now time.Time) (waiting, held int) {
	for _, b := range q.batches {
		if b.due > now.UnixNano() {
			held += len(b.items)
		} else {
			waiting += len(b.items)
		}
	}
	return waiting, held
}

// add inserts a recorded batch by time. Batches of the same time keep their order.
func (q *attemptQueue) add(b *batch) {
	q.batches = append(q.batches, b)
	for i := len(q.batches) - 1; i > 0 && q.batches[i-1].due > b.due; i-- {
		q.batches[i-1], q.batches[i] = q.batches[i], q.batches[i-1]
	}
}

// release gives recorded attempts to the workers when their time and their tokens have come.
func (q *attemptQueue) release(mono, now time.Time, sleep *sleeper) {
	for len(q.batches) > 0 {
		b := q.batches[0]
		if open, _ := q.out.gate.windowOpen(now); !open {
			q.returnAll()
			return
		}
		if wait := time.Duration(b.due - now.UnixNano()); wait > maxEarly {
			q.returnAll()
			return
		} else if wait > 0 {
			sleep.atMost(wait)
			return
		}
		if !q.limiter.allow(mono, len(b.items)) {
			sleep.atMost(q.limiter.wait(mono, len(b.items)))
			return
		}
		q.batches[0] = nil
		q.batches = q.batches[1:]
		q.out.submit(b)
	}
	q.batches = q.batches[:0]
}

// returnAll makes the messages pending again that wait for a token or their time.
func (q *attemptQueue) returnAll() {
	for _, b := range q.batches {
		b.returnAll()
		q.out.submit(b)
	}
	clear(q.batches)
	q.batches = q.batches[:0]
}

// remove removes the unwanted batches and returns them.
func (q *attemptQueue) remove(unwanted func(*batch) bool) []*batch {
	var removed []*batch
	q.batches, removed = partition(q.batches, unwanted)
	return removed
}
