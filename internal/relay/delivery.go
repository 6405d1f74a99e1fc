package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/send"
)

// delivery is one batch that a worker has taken, until it is acknowledged.
type delivery struct {
	channel *workerChannel
	msg     jetstream.Msg
	batch   Batch
	held    int64 // places

	number  uint64 // of its claim
	claimed bool   // guarded by Worker.mu
	grant   Grant
	part    uint64
}

// run claims the batch, sends it and answers it. When ctx ends, it gives back what no driver has
// yet; when sending ends, drivers give up; when answering ends, answers are lost.
func (d *delivery) run(ctx, sending, answering context.Context) {
	c := d.channel
	var err error
	if d.batch, err = DecodeBatch(d.msg.Data(), c.worker.conn.wire); err == nil && (d.batch.Application != c.Application || d.batch.Channel != c.Name) {
		err = fmt.Errorf("it is of application %d, channel %q", d.batch.Application, d.batch.Channel)
	}
	if err != nil {
		d.refuse(answering, err)
		return
	}
	defer d.track()()
	if ctx.Err() != nil || !d.getPlaces(ctx) || !d.claim() || ctx.Err() != nil {
		if d.grant.Decision != Withdrawn {
			d.giveBack(answering, d.granted())
		}
		d.acknowledge()
		return
	}
	if d.batch.Hold {
		d.acknowledge()
	}
	d.send(ctx, sending, answering)
	if !d.batch.Hold {
		d.acknowledge()
	}
}

// track shows the batch to Worker.showLife. The returned function ends that.
func (d *delivery) track() func() {
	w := d.channel.worker
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[d] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.active, d)
	}
}

// refuse gives back a batch that can't be read.
func (d *delivery) refuse(ctx context.Context, why error) {
	d.channel.log.Error("a batch can't be read; it is given back", "batch", d.batch.ID.String(), "err", why)
	if d.batch.ID != (BatchID{}) {
		d.giveBack(ctx, nil)
	}
	d.acknowledge()
}

// getPlaces makes the number of places fit the batch. It returns false if there are too few.
func (d *delivery) getPlaces(ctx context.Context) bool {
	c := d.channel
	need := c.placesFor(len(d.batch.Messages))
	if need < d.held {
		c.places.Release(d.held - need)
		d.held = need
	}
	if need == d.held {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	if c.places.Acquire(ctx, need-d.held) != nil {
		return false
	}
	d.held = need
	return true
}

// claim asks the hub for permission. It returns true if the batch may be sent now.
func (d *delivery) claim() bool {
	w, asked := d.channel.worker, time.Now()
	d.number = w.claims.Add(1)
	claim := Claim{Version: d.batch.Version, ID: d.batch.ID, Worker: w.id, Number: d.number}
	reply, err := w.conn.nc.Request(w.conn.Names.Claim(d.batch.ID.Epoch), AppendClaim(nil, &claim), ClaimTimeout)
	if err != nil {
		d.channel.log.Debug("a claim got no reply; the batch is given back", "batch", d.batch.ID.String(), "err", err)
		return false
	}
	grant, err := DecodeGrant(reply.Data, w.conn.wire)
	if err != nil || grant.ID != d.batch.ID {
		d.channel.log.Warn("the reply to a claim can't be read; the batch is given back", "batch", d.batch.ID.String(), "err", err)
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d.grant, d.claimed = grant, grant.Decision == Granted
	return d.claimed && time.Since(asked) < ClaimTimeout // this process may have been frozen
}

// acknowledge removes the batch from the queue.
func (d *delivery) acknowledge() {
	if err := d.msg.Ack(); err != nil {
		d.channel.log.Debug("a batch could not be acknowledged", "batch", d.batch.ID.String(), "err", err)
	}
}

// progress tells NATS that the batch is being worked on.
func (d *delivery) progress() {
	if err := d.msg.InProgress(); err != nil {
		d.channel.log.Debug("no sign of progress", "batch", d.batch.ID.String(), "err", err)
	}
}

// result is the result of a message that was granted.
type result struct {
	index int
	back  bool // no driver has got it
	send.Result
}

// send hands the granted messages to the driver and publishes their answers.
func (d *delivery) send(ctx, sending, answering context.Context) {
	granted := d.granted()
	c := d.channel
	n := len(granted)
	c.inFlight.Add(int64(n))
	results := make(chan result, n)
	limit := make(chan struct{}, c.Concurrency)
	go func() {
		for call := c.callOf(); len(granted) > 0; granted = granted[min(call, len(granted)):] {
			limit <- struct{}{}
			next := granted[:min(call, len(granted))]
			if c.callOf() > 1 {
				d.call(ctx, sending, next, results)
				<-limit
				continue
			}
			go func() {
				d.call(ctx, sending, next, results)
				<-limit
			}()
		}
	}()
	d.answer(answering, n, results)
}

// granted returns the indexes of the messages that may be sent; before the claim, of all.
func (d *delivery) granted() []int {
	var list []int
	refused := d.grant.Refused
	for i := range d.batch.Messages {
		if len(refused) > 0 && refused[0] == i {
			refused = refused[1:]
			continue
		}
		list = append(list, i)
	}
	return list
}

// call makes one call of the driver, unless ctx has ended.
func (d *delivery) call(ctx, sending context.Context, indexes []int, to chan<- result) {
	if ctx.Err() != nil {
		for _, i := range indexes {
			to <- result{index: i, back: true}
		}
		return
	}
	msgs := make([]*send.Message, len(indexes))
	for k, i := range indexes {
		msgs[k] = &d.batch.Messages[i]
	}
	results := make([]send.Result, len(msgs))
	send.Call(sending, d.channel.Channel, msgs, results, d.channel.worker.log, d.channel.Application, d.channel.Name)
	for k, i := range indexes {
		to <- result{index: i, Result: results[k]}
	}
}

// answer publishes the results of n messages, several together where they arrive together.
func (d *delivery) answer(ctx context.Context, n int, results <-chan result) {
	var back []int
	for left := n; left > 0; {
		var list []Answer
		for timer := (<-chan time.Time)(nil); left > 0; {
			select {
			case r := <-results:
				left--
				if r.back {
					back = append(back, r.index)
					continue
				}
				m := &d.batch.Messages[r.index]
				list = append(list, Answer{Index: r.index, Key: m.Key, Attempt: m.Attempt, Result: r.Result})
				if timer == nil {
					timer = time.After(answerLinger)
				}
				continue
			case <-timer:
			}
			break
		}
		if len(list) == 0 {
			continue
		}
		d.publish(ctx, Answers{Last: left == 0 && len(back) == 0, List: list})
		d.free(len(list), left)
	}
	if len(back) > 0 {
		d.channel.inFlight.Add(-int64(len(back)))
		d.giveBack(ctx, back)
	}
}

// free releases the places of n answered messages; left have no answer yet.
func (d *delivery) free(n, left int) {
	c := d.channel
	c.inFlight.Add(-int64(n))
	if keep := c.placesFor(left); c.callOf() == 1 && keep < d.held {
		c.places.Release(d.held - keep)
		d.held = keep
	}
}

// giveBack says that nothing was sent of the messages with these indexes; none: of the whole batch.
func (d *delivery) giveBack(ctx context.Context, indexes []int) {
	a := Answers{Back: true, Last: true}
	for _, i := range indexes {
		m := &d.batch.Messages[i]
		a.List = append(a.List, Answer{Index: i, Key: m.Key, Attempt: m.Attempt})
	}
	d.publish(ctx, a)
}

// publish publishes the next part of the answers.
func (d *delivery) publish(ctx context.Context, a Answers) {
	a.Version, a.ID, a.Application, a.Channel = d.batch.Version, d.batch.ID, d.channel.Application, d.channel.Name
	a.Worker, a.Claim, a.Part = d.channel.worker.id, d.number, d.part
	d.part++
	d.channel.worker.publish(ctx, &a)
}
