package send

import (
	"container/heap"
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
	waiting byTime
	ready   map[uint32][]queuedMessage
	order   []uint32        // chunks with something ready, in order of arrival
	count   int             // messages in ready
	retries int             // retries in waiting and ready
	probes  []queuedMessage // go after all others while the channel is in trouble, in order of arrival
}

// add adds a message.
func (q *retryQueue) add(b queuedMessage) {
	if b.retry {
		q.retries++
	}
	if b.at > 0 {
		heap.Push(&q.waiting, b)
		return
	}
	q.pushReady(b)
}

// addProbe adds a message that was a probe and is the next one only when there is no other: it may be the
// reason why probes fail.
func (q *retryQueue) addProbe(b queuedMessage) { q.probes = append(q.probes, b) }

// popProbe removes the first of those that were probes.
func (q *retryQueue) popProbe() (b queuedMessage, ok bool) {
	if len(q.probes) == 0 {
		return b, false
	}
	b, q.probes = q.probes[0], q.probes[1:]
	return b, true
}

// releaseProbes makes messages that were probes ordinary ones.
func (q *retryQueue) releaseProbes() {
	for _, b := range q.probes {
		q.pushReady(b)
	}
	q.probes = nil
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
		q.pushReady(heap.Pop(&q.waiting).(queuedMessage))
	}
}

// next returns when the first message may go, in Unix nanoseconds: 1 for now, 0 for none.
func (q *retryQueue) next() int64 {
	switch {
	case q.count+len(q.probes) > 0:
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
	q.ready, q.order, q.count, q.probes = nil, nil, 0, nil
	for _, list := range old {
		for _, b := range list {
			if b.retry {
				q.pushReady(b)
			}
		}
	}
}

// empty reports whether the queue is empty.
func (q *retryQueue) empty() bool { return q.count+len(q.probes)+len(q.waiting) == 0 }

// byTime is a heap of messages (container/heap).
type byTime []queuedMessage

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].at < h[j].at }
func (h byTime) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byTime) Push(b any)        { *h = append(*h, b.(queuedMessage)) }
func (h *byTime) Pop() any {
	last := len(*h) - 1
	b := (*h)[last]
	*h = (*h)[:last]
	return b
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
