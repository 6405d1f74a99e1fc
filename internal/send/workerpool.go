package send

import (
	"cmp"
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/failpoint"
)

// driver is a Channel with a count of who still needs it, so that a reload can
// replace it while its last messages are on their way.
type driver struct {
	Channel
	users atomic.Int64 // the lane, and one per parcel
	ended func(*driver)
}

func newDriver(c Channel, ended func(*driver)) *driver {
	d := &driver{Channel: c, ended: ended}
	d.users.Store(1)
	return d
}

func (d *driver) take() *driver {
	d.users.Add(1)
	return d
}

// release is the end of a take; the last one closes the driver.
func (d *driver) release() {
	if d.users.Add(-1) == 0 {
		d.ended(d)
	}
}

// hands are a lane's workers and what lies before them. Workers are started
// when there is work for them and leave when the lane has rested.
type workerPool struct {
	mu       sync.Mutex // guards what follows
	cond     *sync.Cond
	waiting  []*batch // first in, first out
	workers  int
	idle     int
	stopping bool // workers end when nothing waits
}

func newWorkerPool() *workerPool {
	h := &workerPool{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

// give lays p before the workers and reports whether another one is needed, of at most limit.
func (h *workerPool) submit(p *batch, limit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = false
	h.waiting = append(h.waiting, p)
	if h.idle >= len(h.waiting) || h.workers >= limit {
		h.cond.Signal()
		return false
	}
	h.workers++
	return true
}

// next waits for a parcel; nil if the worker is to end, as one above limit is.
func (h *workerPool) next(limit int) *batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.waiting) == 0 {
		if h.stopping || h.workers > limit {
			h.workers--
			return nil
		}
		h.idle++
		h.cond.Wait()
		h.idle--
	}
	p := h.waiting[0]
	h.waiting[0] = nil
	if h.waiting = h.waiting[1:]; len(h.waiting) == 0 {
		h.waiting = nil
	}
	return p
}

// starve reports whether no parcel waits for a worker.
func (h *workerPool) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting) == 0
}

// dismiss lets the workers end.
func (h *workerPool) stopIdle() {
	h.mu.Lock()
	h.stopping = true
	h.cond.Broadcast()
	h.mu.Unlock()
}

// work sends parcels until there is no need for the worker.
func (l *channelSender) work() {
	for {
		p := l.workers.next(int(l.limit.Load()))
		if p == nil {
			return
		}
		l.send(p)
		if l.completed.add(p) {
			l.nudge()
		}
	}
}

// send hands a parcel's messages to the driver, but those whose sending or lane
// has been halted since they were marked: those are given back.
func (l *channelSender) send(p *batch) {
	l.gate.RLock()
	halt := l.d.stopping.Load() || l.breaker.blocks()
	out := 0
	var latest int64
	now := l.d.now()
	for i := range p.items {
		switch {
		case p.results[i].Verdict == verdictRefused:
		case halt || p.results[i].Verdict == verdictReturned || p.items[i].cursor.run.isHalted():
			p.results[i].Verdict = verdictReturned
		default:
			out++
			latest = max(latest, now.UnixNano()-p.items[i].lateFrom)
			p.ptrs = append(p.ptrs, &p.msgs[i])
		}
	}
	l.gate.RUnlock()
	if out == 0 {
		l.react(p)
		return
	}
	results := p.results
	if out < len(p.items) {
		results = make([]Result, out)
	}
	began := time.Now()
	failpoint.At(failpoint.HandedOver)
	l.call(l.d.sendCtx, p, results)
	failpoint.At(failpoint.DriverReturned)
	took := time.Since(began)
	l.limiter.callTook(took)
	if l.d.observer != nil {
		l.d.observer.Attempted(l.id, l.name, out, time.Duration(latest), took)
	}
	if out < len(p.items) {
		k := 0
		for i := range p.results {
			if v := p.results[i].Verdict; v != verdictReturned && v != verdictRefused {
				p.results[i] = results[k]
				k++
			}
		}
	}
	l.react(p)
}

// call calls the driver. One that panics, or leaves a result unset, has maybe
// sent the message. What was panicked with is not logged: it may hold contact data.
func (l *channelSender) call(ctx context.Context, p *batch, results []Result) {
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
		l.d.log.Error("the channel's driver panicked; its messages' outcome is unknown", "application", l.id,
			"channel", l.name, "cause", cause, "stack", string(debug.Stack()))
	}()
	p.driver.Send(ctx, p.ptrs, results)
}

// holdChannel shuts the lane until one message is tried again.
func (l *channelSender) holdChannel(now time.Time, res *Result) {
	again := cmp.Or(res.RetryAfter, l.d.retryHold)
	if l.breaker.hold(now, res.Detail, again) {
		l.d.log.Warn("the channel is held: mend the cause, then resume a sending of it or wait for the next try",
			"application", l.id, "channel", l.name, "reason", res.Detail, "next", again)
	}
}

// react draws from the answers what can't wait until they are recorded: a lane
// to be shut or slowed, a sending to be held.
func (l *channelSender) react(p *batch) {
	now := time.Now()
	set := l.settings.Load()
	for i := range p.results {
		res := &p.results[i]
		r := p.items[i].cursor.run
		if res.SlowDown {
			if limit, changed := l.limiter.halve(now); changed {
				l.d.log.Warn("the channel's provider throttles: its rate is halved and recovers step by step",
					"application", l.id, "channel", l.name, "rate", limit)
			}
		}
		if res.OptOut && res.Verdict == VerdictPermanent && l.d.optedOut != nil {
			if err := l.d.optedOut(l.id, l.name, p.msgs[i].ContactCode); err != nil {
				l.d.log.Error("cannot add an opt-out to the list", "application", l.id, "channel", l.name, "error", err)
			}
		}
		verdict := res.Verdict
		if res.SlowDown && verdict == VerdictRetry {
			verdict = VerdictSent // a throttled channel works
		}
		switch verdict {
		case VerdictSent, VerdictPermanent:
			if l.breaker.succeeded() {
				l.d.log.Info("the channel works again", "application", l.id, "channel", l.name)
			}
		case VerdictRetry, VerdictUnknown:
			if l.breaker.failed(now, res.Detail, max(10, set.Concurrency), set.RetryBase, set.RetryMax) {
				l.d.log.Warn("the channel is in trouble: one message at a time is tried until one gets through",
					"application", l.id, "channel", l.name, "reason", res.Detail)
			}
		case VerdictHold:
			if res.Hold == HoldSending {
				l.d.hold(r, res.Detail)
				l.breaker.succeeded()
			} else {
				l.holdChannel(now, res)
			}
			continue
		case verdictReturned, verdictRefused:
			l.breaker.returned()
			continue
		}
		r.probe.Store(false)
	}
}
