package relay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"campaignd/internal/send"
)

// Channel is a channel whose messages workers send. It implements send.Remote.
type Channel struct {
	send.Channel // the rules: Compile and CheckMessage of the driver

	hub         *Hub
	application int64
	name        string
	batch       int
	calls       int // messages in one call of the driver
	hold        bool
	answerWait  time.Duration
	state       atomic.Pointer[send.Workers]
	version     atomic.Uint32 // of the wire format, that all its workers read
}

var _ send.Remote = (*Channel)(nil)

// ChannelOptions describe a channel.
type ChannelOptions struct {
	Application int64
	Name        string
	Rules       send.Channel // the driver that the workers use
	Batch       int          // most messages in a batch
	Hold        bool         // on_unknown is "hold"
	AnswerWait  time.Duration
}

// Channel creates a channel and replaces the one of that name.
func (h *Hub) Channel(o ChannelOptions) *Channel {
	c := &Channel{Channel: o.Rules, hub: h, application: o.Application, name: o.Name, batch: max(o.Batch, 1), calls: max(o.Rules.Batch(), 1), hold: o.Hold, answerWait: o.AnswerWait}
	h.mu.Lock()
	h.channels[channelKey{o.Application, o.Name}] = c
	h.mu.Unlock()
	h.publishWorkers()
	h.kickRefresh() // its consumer may be missing
	return c
}

// kickRefresh makes the hub declare streams and consumers again soon.
func (h *Hub) kickRefresh() {
	select {
	case h.refresh <- struct{}{}:
	default:
	}
}

// errTooLarge is returned when a message can't be carried to a worker.
var errTooLarge = errors.New("the message is too large to be handed to a worker: more than 500 KB")

// CheckMessage implements send.Channel.
func (c *Channel) CheckMessage(to, content []byte) error {
	if len(content) > MaxMessageBytes-16<<10 {
		return errTooLarge
	}
	return c.Channel.CheckMessage(to, content)
}

// Rules implements send.Remote.
func (c *Channel) Rules() send.Channel { return c.Channel }

// Batch implements send.Channel.
func (c *Channel) Batch() int { return c.batch }

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.hub.mu.Lock()
	if key := (channelKey{c.application, c.name}); c.hub.channels[key] == c {
		delete(c.hub.channels, key)
	}
	c.hub.mu.Unlock()
	return c.Channel.Close()
}

// Workers implements send.Remote.
func (c *Channel) Workers() send.Workers {
	w := *c.state.Load()
	if !c.hub.connected() {
		w.Wait, w.Away = waitsForServer, true
	} else if at := c.hub.current.Load(); w.Wait == "" && at != nil && time.Since(*at) > answerStall {
		w.Wait, w.Away = waitsForAnswers, true
	}
	return w
}

// waitsForServer is the reason while no server is connected, and waitsForAnswers while one is from
// which answers don't arrive: its stream may have no leader, or it isn't open again yet.
const (
	waitsForServer  = "no NATS server answers"
	waitsForAnswers = "the answers of workers don't arrive"
)

// publishWorkers tells every channel what its workers can take.
func (h *Hub) publishWorkers() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		w := send.Workers{Batch: c.batch}
		for i := range h.workers {
			one := h.workers[i].channel(c.application, c.name)
			if one == nil {
				continue
			}
			concurrency := max(one.Concurrency, 1)
			limit := BatchLimit(c.batch, concurrency, c.calls)
			if one.Batch > 0 { // its configuration may be another
				limit = min(limit, one.Batch)
			}
			w.Places += concurrency * min(c.calls, limit)
			w.Batch = min(w.Batch, limit)
		}
		version, shared := SharedVersion(h.wire, h.workers, c.application, c.name)
		c.version.Store(uint32(version))
		switch {
		case h.problem != "":
			w.Wait, w.Away = "nothing can be handed out: "+h.problem, true
		case !h.ready.Load():
			w.Wait, w.Away = "the answers of workers to the last run are being read", true
		case !shared:
			w.Wait, w.Held = "its workers read no version of the wire format in common: upgrade the oldest ones", true
		}
		c.state.Store(&w)
	}
}

// NextNumber implements send.Remote.
func (c *Channel) NextNumber() uint64 {
	return c.hub.epoch.Load()<<epochShift | c.hub.counter.Add(1)
}

// Publish implements send.Remote.
func (c *Channel) Publish(ctx context.Context, b *send.HandOut) error {
	h := c.hub
	id := BatchID{h.epoch.Load(), wireNumber(b)}
	one := &handOut{HandOut: b, index: make(map[string]int, len(b.Messages)), hold: c.hold}
	wire := Batch{Version: byte(c.version.Load()), ID: id, Application: c.application, Channel: c.name, Hold: c.hold, Messages: make([]send.Message, len(b.Messages))}
	for i, m := range b.Messages {
		one.index[m.Key] = i
		wire.Messages[i] = *m
	}
	b.Recorded = func() {
		h.unpin(one)
		h.grants.remove(id)
	}
	h.mu.Lock()
	h.batches[id.Number] = one
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := h.conn.js.Publish(ctx, h.conn.Names.Work(c.application, c.name), AppendBatch(nil, &wire),
		jetstream.WithMsgID(id.String()), jetstream.WithExpectStream(h.conn.Names.WorkStream()))
	if err != nil {
		if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
			h.kickRefresh()
		}
		return fmt.Errorf("publish batch: %w", err)
	}
	return nil
}

// Withdraw implements send.Remote.
func (c *Channel) Withdraw(b *send.HandOut) {
	h := c.hub
	number := wireNumber(b)
	h.mu.Lock()
	one := h.batches[number]
	delete(h.batches, number)
	h.mu.Unlock()
	if one == nil {
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.grants == 0 {
		h.counts.withdrawn.Add(1)
	}
}

// unpin notes that the answers of a batch are recorded.
func (h *Hub) unpin(b *handOut) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recorded = true
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, seq := range b.seqs {
		delete(h.pinned, seq)
	}
}
