package send

import (
	"context"
	"sync"
	"time"
)

// HandOut is a batch on its way to a worker and back. A Remote calls its methods, from any
// goroutine; after the batch's end they do nothing.
type HandOut struct {
	// Number and Part identify the batch: the number is recorded with its attempts, and a
	// batch that was too large was divided into parts, numbered from 1 (0: it wasn't divided).
	Number   uint64
	Part     int
	Messages []*Message

	// Recorded is called once the results of the batch are recorded, and not if they couldn't be,
	// or if what was claimed stays in flight at a stop. Publish may set it.
	Recorded func()

	from   *deliverer
	b      *batch
	index  []int         // of each message in the batch's items
	halted chan struct{} // closed when nothing more of it may go
	event  chan struct{} // wakes the goroutine that waits for the worker

	mu      sync.Mutex // guards the fields below, and the results of b until over
	over    bool
	claims  int // that were granted
	open    int // granted messages without an answer
	began   time.Time
	late    time.Duration // of the latest message at the claim
	rules   *rules
	claimed time.Time // wall clock, for the slot
}

func newHandOut(from *deliverer, b *batch) *HandOut {
	h := &HandOut{Number: b.number, Part: b.part, from: from, b: b, halted: make(chan struct{}), event: make(chan struct{}, 1)}
	for i := range b.items {
		if b.results[i].Verdict == 0 {
			h.Messages = append(h.Messages, &b.msgs[i])
			h.index = append(h.index, i)
		}
	}
	return h
}

// Claim answers a worker that asks whether it may send the batch: it returns for each message
// whether it may. This is the hand-over (docs/contract.md 8), so every message goes through
// the same check as with a local driver. A batch is granted once, and once more for every
// further worker that gets it where unknown messages are resent.
//
// It may take up to half a second, to keep the channel's rate.
func (h *HandOut) Claim() []bool {
	d, allowed := h.from, make([]bool, len(h.Messages))
	wait, ok := d.limiter.claim(time.Now(), len(h.Messages))
	if !ok {
		h.Refuse()
		return allowed
	}
	time.Sleep(wait)
	d.gate.enter()
	defer d.gate.leave()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || h.claims > 0 && d.settings.Load().OnUnknown != RetryUnknown {
		return allowed
	}
	now := d.gate.begin()
	h.rules, h.claimed = now.rules, now.now
	granted := 0
	for k, i := range h.index {
		it, res := &h.b.items[i], &h.b.results[i]
		if res.Verdict != 0 {
			continue
		}
		if v := d.gate.check(it, &h.b.msgs[i], &now); v != 0 {
			// Whoever claimed it before may have sent it.
			*res = Result{Verdict: v, MaybeDelivered: it.claimed}
			if it.claimed {
				h.open--
			}
			continue
		}
		if !it.claimed {
			it.claimed = true
			it.cursor.run.claimed.Add(1)
			h.open++
			h.late = max(h.late, time.Duration(now.now.UnixNano()-it.lateFrom))
		}
		allowed[k] = true
		granted++
	}
	if granted > 0 {
		if h.claims == 0 {
			d.answers.begin(time.Now())
		}
		h.claims++
		h.began = time.Now()
	}
	h.wake()
	return allowed
}

// Refuse returns the messages of a batch that nobody has claimed: they are picked again. It does
// nothing once somebody has.
func (h *HandOut) Refuse() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.index {
		if res := &h.b.results[i]; !h.over && h.claims == 0 && res.Verdict == 0 {
			*res = Returned()
		}
	}
	h.wake()
}

// Answer gives the result of message k, which must be the attempt that the batch is about. It
// returns false for one that wasn't granted or has its result already.
func (h *HandOut) Answer(k int, res Result) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.index[k]
	if h.over || !h.b.items[i].claimed || h.b.results[i].Verdict != 0 {
		return false
	}
	h.b.results[i] = res
	if res.isAnswer() {
		h.from.answers.answered(time.Now(), 0)
	}
	if h.open--; h.open == 0 {
		h.wake()
	}
	return true
}

// Alive notes that the worker works at the batch.
func (h *HandOut) Alive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claims > 0 {
		h.began = time.Now()
	}
}

// GiveBack notes that a worker has sent nothing of the batch that it hasn't answered for, and
// won't. maybe says that another worker may have.
func (h *HandOut) GiveBack(maybe bool) {
	h.Refuse()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.index {
		if res := &h.b.results[i]; !h.over && h.b.items[i].claimed && res.Verdict == 0 {
			*res = Returned()
			res.MaybeDelivered = maybe
			h.open--
		}
	}
	h.wake()
}

// Returned is the result of a message that a worker certainly has not sent.
func Returned() Result { return Result{Verdict: verdictReturned} }

// wake wakes the goroutine that waits for the worker.
func (h *HandOut) wake() { signal(h.event) }

// admit asks the driver's own rules about messages that may go otherwise.
func (b *batch) admit(rules Admitter) {
	for i := range b.results {
		if res := &b.results[i]; res.Verdict == 0 && !b.items[i].cursor.run.isHalted() {
			if refused, may := rules.Admit(&b.msgs[i]); !may {
				*res = refused
			}
		}
	}
}

// account counts a claimed batch for the metrics, and gives back to the slot what certainly
// never reached the receiver.
func (h *HandOut) account() {
	granted := 0
	for _, i := range h.index {
		it, res := &h.b.items[i], &h.b.results[i]
		if !it.claimed {
			continue
		}
		granted++
		unsent := !res.seen() && !res.MaybeDelivered && res.Verdict != verdictLeft
		if unsent && it.sliced && h.rules.grid != nil {
			h.rules.slots.giveBack(h.rules.grid, h.claimed)
		}
	}
	if d := h.from; d.observer != nil {
		d.observer.Attempted(d.application, d.name, granted, h.late, time.Since(h.began))
	}
}

// wait returns when every granted message has its answer, when nobody has claimed the batch
// for claimWait, when the worker has given no sign of life for answer_wait, or when ctx ends.
// Time in which no answer can arrive doesn't count: without a server, or while this process was
// frozen. What could not be offered is given up after publishRetry; it is picked again then.
func (h *HandOut) wait(ctx context.Context, remote Remote, offered bool) {
	since, limit := time.Now(), claimWait
	if !offered {
		limit = publishRetry
		h.Refuse()
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for woken := time.Now(); ; {
		frozen := time.Since(woken) > frozenFor
		woken = time.Now()
		h.mu.Lock()
		claims, open, began := h.claims, h.open, h.began
		h.mu.Unlock()
		left, halted := limit-time.Since(since), h.halted
		if claims > 0 {
			if open == 0 {
				return
			}
			halted = nil // its answers still count
			if frozen || remote.Workers().Away {
				h.Alive()
				began = time.Now()
			}
			left = h.from.answerWait() - time.Since(began)
		} else if offered && h.decided() {
			return
		}
		if left <= 0 && h.giveUp(claims) {
			return
		}
		timer.Reset(min(max(left, 0), maxSleep))
		select {
		case <-h.event:
		case <-halted:
			if h.giveUp(claims) {
				return
			}
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// giveUp ends the wait for the batch unless it was claimed meanwhile: nobody may claim it afterwards.
func (h *HandOut) giveUp(claims int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = h.claims == claims
	return h.over
}

// decided reports whether every message has a result.
func (h *HandOut) decided() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.index {
		if h.b.results[i].Verdict == 0 {
			return false
		}
	}
	return true
}

// end gives every message without a result the one that fits: what no worker was granted was
// not sent. stopped says that what was granted stays in flight: the next start finds its
// answers. It returns true if something does.
func (h *HandOut) end(stopped bool) (left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	for _, i := range h.index {
		switch res := &h.b.results[i]; {
		case res.Verdict != 0:
		case !h.b.items[i].claimed:
			res.Verdict = verdictReturned
		case stopped:
			res.Verdict, left = verdictLeft, true
		case h.claims >= maxClaims:
			*res = Result{Verdict: verdictDeadly, Detail: "every worker that took it ended without an answer", MaybeDelivered: true}
		default:
			*res = Result{Verdict: verdictLost, Detail: "the worker that took it has not answered", MaybeDelivered: true}
		}
	}
	return left
}

// mayGo reports whether a message of the batch may still go.
func (h *HandOut) mayGo() bool {
	if h.from.stopping.Load() {
		return false
	}
	for _, i := range h.index {
		if !h.b.items[i].cursor.run.isHalted() {
			return true
		}
	}
	return false
}
