package send

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/failpoint"
)

// driver is a Channel with a reference count, so that a reload can replace it while its last
// messages are in flight.
type driver struct {
	Channel
	remote Remote       // Channel, if workers on other machines send for it
	users  atomic.Int64 // the channel sender, and one per batch
	ended  func(*driver)
}

func newDriver(c Channel, ended func(*driver)) *driver {
	d := &driver{Channel: c, ended: ended}
	d.remote, _ = c.(Remote)
	d.users.Store(1)
	return d
}

func (d *driver) take() *driver {
	d.users.Add(1)
	return d
}

// release undoes a take; the last one closes the driver.
func (d *driver) release() {
	if d.users.Add(-1) == 0 {
		d.ended(d)
	}
}

// workerPool is a channel sender's workers with their queue. Workers start when there is work
// and end when the sender has been idle.
type workerPool struct {
	mu       sync.Mutex // guards the fields below
	cond     *sync.Cond
	waiting  []*batch // first in, first out
	workers  int
	idle     int
	stopping bool // workers end when the queue is empty
}

func newWorkerPool() *workerPool {
	w := &workerPool{}
	w.cond = sync.NewCond(&w.mu)
	return w
}

// submit queues b and reports whether to start another worker, of at most limit.
func (w *workerPool) submit(b *batch, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = false
	w.waiting = append(w.waiting, b)
	if w.idle >= len(w.waiting) || w.workers >= limit {
		w.cond.Signal()
		return false
	}
	w.workers++
	return true
}

// next waits for a batch. It returns nil if the worker must end, because of stopIdle or the limit.
func (w *workerPool) next(limit int) *batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) == 0 {
		if w.stopping || w.workers > limit {
			w.workers--
			return nil
		}
		w.idle++
		w.cond.Wait()
		w.idle--
	}
	b := w.waiting[0]
	w.waiting[0] = nil
	if w.waiting = w.waiting[1:]; len(w.waiting) == 0 {
		w.waiting = nil
	}
	return b
}

// empty reports whether no batch waits for a worker.
func (w *workerPool) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) == 0
}

// takeBack removes the batches that wait for a worker and are unwanted.
func (w *workerPool) takeBack(unwanted func(*batch) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, unwanted)
}

// stopIdle ends workers without work.
func (w *workerPool) stopIdle() {
	w.mu.Lock()
	w.stopping = true
	w.cond.Broadcast()
	w.mu.Unlock()
}

// work sends batches until the worker isn't needed any more.
func (cs *channelSender) work() {
	for {
		b := cs.workers.next(int(cs.limit.Load()))
		if b == nil {
			return
		}
		if b.driver.remote != nil {
			cs.handOut(b)
		} else {
			cs.send(b)
		}
		if cs.completed.add(b) {
			cs.nudge()
		}
	}
}

// send hands a batch's messages to the driver. Messages that may no longer go are returned.
func (cs *channelSender) send(b *batch) {
	cs.gate.RLock()
	h := cs.beginHandOver()
	out := 0
	var latest int64
	for i := range b.items {
		it, res := &b.items[i], &b.results[i]
		if res.Verdict == 0 {
			res.Verdict = cs.check(it, &b.msgs[i], &h)
		}
		if res.Verdict == 0 {
			out++
			latest = max(latest, h.now.UnixNano()-it.lateFrom)
			b.ptrs = append(b.ptrs, &b.msgs[i])
		}
	}
	cs.gate.RUnlock()
	if out == 0 {
		cs.react(b)
		return
	}
	results := b.results
	if out < len(b.items) {
		results = make([]Result, out)
	}
	began := time.Now()
	failpoint.At(failpoint.HandedOver)
	cs.call(cs.d.sendCtx, b, results)
	failpoint.At(failpoint.DriverReturned)
	took := time.Since(began)
	cs.limiter.callTook(took)
	if cs.d.observer != nil {
		cs.d.observer.Attempted(cs.id, cs.name, out, time.Duration(latest), took)
	}
	if out < len(b.items) {
		k := 0
		for i := range b.results {
			if b.results[i].Verdict == 0 {
				b.results[i] = results[k]
				k++
			}
		}
	}
	for i := range b.items {
		if res := &b.results[i]; b.items[i].sliced && res.Verdict < verdictReturned && !res.seen() && h.rules.grid != nil {
			h.rules.slots.giveBack(h.rules.grid, h.now)
		}
	}
	cs.react(b)
}

// call calls the driver.
func (cs *channelSender) call(ctx context.Context, b *batch, results []Result) {
	Call(ctx, b.driver.Channel, b.ptrs, results, cs.d.log, cs.id, cs.name)
}

// Call calls c.Send for a channel of an application. A driver that panics, or leaves a result unset,
// may have sent the message. The value of a panic isn't logged, because it may contain contact data.
func Call(ctx context.Context, c Channel, msgs []*Message, results []Result, log *slog.Logger, application int64, channelType string) {
	defer func() {
		what := recover()
		for i := range results {
			if results[i].Verdict == 0 {
				results[i] = Result{Verdict: VerdictUnknown, Detail: "the channel's driver gave no answer: see the daemon's log"}
			}
		}
		if what == nil {
			return
		}
		cause := "panic"
		if err, ok := what.(runtime.Error); ok {
			cause = err.Error()
		}
		log.Error("the channel's driver panicked; its messages' outcome is unknown", "application", application,
			"channel", channelType, "cause", cause, "stack", string(debug.Stack()))
	}()
	c.Send(ctx, msgs, results)
}
