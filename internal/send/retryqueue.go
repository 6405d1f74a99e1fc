package send

import (
	"math/rand/v2"
	"time"

	"campaignd/internal/campaign"
)

// queuedMessage is a message that a cursor comes back to: a retry, a recipient's next message, or
// one that was returned unsent.
type queuedMessage struct {
	at       int64 // Unix nanoseconds; 0: now
	row      uint32
	message  uint8
	attempts uint8 // that its status must have
	retry    bool  // its status must be Retrying, otherwise Pending
}

// retryQueue holds a cursor's messages to come back to: a heap by time of those that wait, and by
// chunk those that may go now, so that a chunk is read once for all of them. A message costs 24
// bytes, no timer and no goroutine.
type retryQueue struct {
	waiting []queuedMessage
	ready   map[uint32][]queuedMessage
	order   []uint32 // chunks with something ready, in order of arrival
	count   int      // messages in ready
	retries int      // retries in waiting and ready
}

// add adds a message.
func (q *retryQueue) add(b queuedMessage) {
	if b.retry {
		q.retries++
	}
	if b.at > 0 {
		q.push(b)
		return
	}
	q.pushReady(b)
}

// pushReady adds a message that may go now.
func (q *retryQueue) pushReady(b queuedMessage) {
	chunk := b.row / campaign.ChunkRows
	if q.ready == nil {
		q.ready = map[uint32][]queuedMessage{}
	}
	list, there := q.ready[chunk]
	if !there {
		q.order = append(q.order, chunk)
	}
	q.ready[chunk] = append(list, b)
	q.count++
}

// promote moves messages whose time has come to the ready ones.
func (q *retryQueue) promote(now time.Time) {
	for len(q.waiting) > 0 && q.waiting[0].at <= now.UnixNano() {
		q.pushReady(q.pop())
	}
}

// next returns when the first message may go, in Unix nanoseconds: 1 for now, 0 for none.
func (q *retryQueue) next() int64 {
	switch {
	case q.count > 0:
		return 1
	case len(q.waiting) > 0:
		return q.waiting[0].at
	}
	return 0
}

// popReady removes a ready message of the first chunk.
func (q *retryQueue) popReady() (queuedMessage, bool) {
	if q.count == 0 {
		return queuedMessage{}, false
	}
	chunk := q.order[0]
	list := q.ready[chunk]
	b := list[len(list)-1]
	q.count--
	if b.retry {
		q.retries--
	}
	if list = list[:len(list)-1]; len(list) > 0 {
		q.ready[chunk] = list
		return b, true
	}
	delete(q.ready, chunk)
	q.order = q.order[1:]
	return b, true
}

// dropPending removes ready messages that aren't retries, because new slices contain them again.
func (q *retryQueue) dropPending() {
	old := q.ready
	q.ready, q.order, q.count = nil, nil, 0
	for _, list := range old {
		for _, b := range list {
			if b.retry {
				q.pushReady(b)
			}
		}
	}
}

// empty reports whether the queue is empty.
func (q *retryQueue) empty() bool { return q.count == 0 && len(q.waiting) == 0 }

func (q *retryQueue) push(b queuedMessage) {
	q.waiting = append(q.waiting, b)
	h := q.waiting
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].at <= h[i].at {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

func (q *retryQueue) pop() queuedMessage {
	h := q.waiting
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < last && h[down+1].at < h[down].at {
			down++
		}
		if down >= last || h[i].at <= h[down].at {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	q.waiting = h
	return top
}

// maxRetryAfter is the longest Retry-After that is obeyed.
const maxRetryAfter = 24 * time.Hour

// delay returns how long to wait after attempt number attempt (from 1): base, doubling up to most,
// give or take a fifth so that messages that failed together don't come back together, and never
// less than the receiver asked for.
func delay(attempt int, base, most, asked time.Duration) time.Duration {
	d := base
	for i := 1; i < attempt && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	d += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(d))
	if asked = min(asked, maxRetryAfter); asked > 0 && d < asked {
		d = asked + time.Duration(rand.Float64()*0.2*float64(min(base, asked)))
	}
	return min(max(d, time.Millisecond), max(most, asked+base))
}

// recipientDelay returns how long to wait after attempt number attempt (from 1) at a
// recipient that couldn't be reached (VerdictRecipientBusy): greylisting and full mailboxes
// take minutes to hours.
func recipientDelay(attempt int, asked time.Duration) time.Duration {
	schedule := [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute}
	d := schedule[min(attempt, len(schedule))-1]
	d += time.Duration(rand.Float64() * 0.1 * float64(d))
	return max(d, min(asked, maxRetryAfter))
}
