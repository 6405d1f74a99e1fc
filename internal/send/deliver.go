package send

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"campaignd/internal/failpoint"
)

// deliverer hands recorded batches to the driver and puts them into the completed queue, with a
// result for each message. Local drivers are called by its workers; for a remote one each worker
// follows one batch that a worker on another machine sends.
type deliverer struct {
	*appChannel
	gate      *handOverGate
	limiter   *rateLimiter
	health    *channelHealth
	answers   *answerMeter
	updates   *updates
	limit     *atomic.Int64 // workers
	pool      *workerPool
	completed completedQueue

	mu       sync.Mutex            // guards handOuts
	handOuts map[*HandOut]struct{} // batches that workers on other machines may claim or have claimed
}

func (d *deliverer) submit(b *batch) {
	if b.driver.remote != nil {
		d.split(b, d.queue)
		return
	}
	d.queue(b)
}

func (d *deliverer) queue(b *batch) {
	if d.pool.submit(b, int(d.limit.Load())) {
		d.workers.Go(d.work)
	}
}

// work sends batches until the worker isn't needed any more.
func (d *deliverer) work() {
	for {
		b := d.pool.next(int(d.limit.Load()))
		if b == nil {
			return
		}
		if b.driver.remote != nil {
			d.handOut(b)
		} else {
			d.send(b)
		}
		d.finish(b)
	}
}

// finish puts a batch whose messages have their results into the completed queue.
func (d *deliverer) finish(b *batch) {
	if d.completed.add(b) {
		d.updates.nudge()
	}
}

// giveBack finishes a batch whose messages don't go.
func (d *deliverer) giveBack(b *batch) {
	b.returnAll()
	d.health.react(b)
	d.finish(b)
}

// send hands a batch's messages to the driver. Messages that may no longer go are returned.
func (d *deliverer) send(b *batch) {
	d.gate.enter()
	h := d.gate.begin()
	out := 0
	var latest int64
	for i := range b.items {
		it, res := &b.items[i], &b.results[i]
		if res.Verdict == 0 {
			res.Verdict = d.gate.check(it, &b.msgs[i], &h)
		}
		if res.Verdict == 0 {
			out++
			latest = max(latest, h.now.UnixNano()-it.lateFrom)
			b.ptrs = append(b.ptrs, &b.msgs[i])
		}
	}
	d.gate.leave()
	if out == 0 {
		d.health.react(b)
		return
	}
	results := b.results
	if out < len(b.items) {
		results = make([]Result, out)
	}
	began := time.Now()
	d.answers.begin(began)
	failpoint.At(failpoint.HandedOver)
	Call(d.sendCtx, b.driver.Channel, b.ptrs, results, d.log, d.application, d.name)
	failpoint.At(failpoint.DriverReturned)
	ended := time.Now()
	took := ended.Sub(began)
	if hasAnswer(results[:out]) {
		d.answers.answered(ended, took)
	}
	d.answers.end(ended)
	d.limiter.callTook(took)
	if d.observer != nil {
		d.observer.Attempted(d.application, d.name, out, time.Duration(latest), took)
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
	d.health.react(b)
}

// handOut offers a batch to the workers and waits until every message of it has a result.
func (d *deliverer) handOut(b *batch) {
	rules, admits := b.driver.remote.Rules().(Admitter)
	if admits {
		b.admit(rules)
	}
	h := newHandOut(d, b)
	if len(h.Messages) == 0 {
		d.health.react(b)
		return
	}
	remote := b.driver.remote
	d.trackHandOut(h)
	d.gate.enter()
	now := d.gate.begin()
	d.gate.leave()
	if !now.closed && h.mayGo() {
		err := remote.Publish(d.sendCtx, h)
		h.wait(d.sendCtx, remote, err == nil)
		remote.Withdraw(h)
	}
	d.untrackHandOut(h)
	b.recorded = h.Recorded
	if h.end(d.sendCtx.Err() != nil) {
		b.recorded = nil
	}
	if h.claims > 0 {
		d.answers.end(time.Now())
		h.account()
		if admits {
			for _, i := range h.index {
				if b.results[i].Verdict < verdictReturned {
					rules.Answered(&b.msgs[i], &b.results[i])
				}
			}
		}
	}
	d.health.react(b)
}

func (d *deliverer) answerWait() time.Duration {
	if wait := d.settings.Load().AnswerWait; wait > 0 {
		return wait
	}
	return defaultAnswerWait
}

func (d *deliverer) trackHandOut(h *HandOut) {
	d.mu.Lock()
	d.handOuts[h] = struct{}{}
	d.mu.Unlock()
}

func (d *deliverer) untrackHandOut(h *HandOut) {
	d.mu.Lock()
	delete(d.handOuts, h)
	d.mu.Unlock()
}

// withdrawHalted withdraws batches that no worker has claimed and of which nothing may go any
// more, so that a pause, a cancel or a stop needn't wait for claimWait.
func (d *deliverer) withdrawHalted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for h := range d.handOuts {
		if h.mayGo() {
			continue
		}
		delete(d.handOuts, h)
		close(h.halted)
	}
}

// split gives to each batch for workers no more than maxBatchBytes, and one message at least.
func (d *deliverer) split(b *batch, each func(*batch)) {
	bytes := func(i int) int {
		m := &b.msgs[i]
		return len(m.Content) + len(m.Key) + len(m.ContactCode) + len(m.To) + len(m.RowReference) + len(m.Reference) + messageBytes
	}
	total := 0
	for i := range b.msgs {
		total += bytes(i)
	}
	if total <= maxBatchBytes {
		each(b)
		return
	}
	for first := 0; first < len(b.items); {
		size, end := bytes(first), first+1
		for end < len(b.items) && size+bytes(end) <= maxBatchBytes {
			size += bytes(end)
			end++
		}
		each(d.part(b, first, end))
		first = end
	}
	b.driver.release()
	d.recycle(b)
}

// part returns a batch with some messages of b.
func (d *deliverer) part(b *batch, first, end int) *batch {
	p := d.batches.Get().(*batch)
	p.driver, p.due, p.first, p.number, p.part = b.driver.take(), b.due, b.first, b.number, first+1
	p.items = append(p.items, b.items[first:end]...)
	p.msgs = append(p.msgs, b.msgs[first:end]...)
	p.results = append(p.results, b.results[first:end]...)
	size := 0
	for i := range p.msgs {
		size += len(p.msgs[i].Content)
	}
	p.content = append(make([]byte, 0, size), p.content...) // a buffer that doesn't move below
	for i := range p.msgs {
		from := len(p.content)
		p.content = append(p.content, p.msgs[i].Content...)
		p.msgs[i].Content = p.content[from:len(p.content):len(p.content)]
	}
	return p
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
