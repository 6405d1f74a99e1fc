package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

// workerChannel takes and sends the batches of one channel.
type workerChannel struct {
	WorkerDriver
	worker   *Worker
	log      *slog.Logger
	places   *semaphore.Weighted // messages under way; of a driver of batches, calls
	inFlight atomic.Int64        // messages that were claimed and aren't answered

	batches jetstream.MessagesContext // nil: not found yet
	trouble string                    // why the last pull failed, "" if it didn't
}

// callOf returns how many messages one call of the driver takes.
func (c *workerChannel) callOf() int { return max(c.Channel.Batch(), 1) }

// placesFor returns how many places n messages take.
func (c *workerChannel) placesFor(n int) int64 {
	if c.callOf() > 1 {
		return 1
	}
	return int64(min(n, c.Concurrency))
}

// batchLimit returns how many messages a batch may have for this worker; 0 if it can't take any.
func (c *workerChannel) batchLimit() int {
	if c.Channel == nil {
		return 0
	}
	return BatchLimit(c.Batch, c.Concurrency, c.callOf())
}

// pull takes batches until ctx ends, one at a time, and only while there are places for it. It
// returns when all of them are finished.
func (c *workerChannel) pull(ctx, sending, answering context.Context) {
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	need := c.placesFor(c.batchLimit())
	for c.places.Acquire(ctx, need) == nil {
		msg, err := c.next(ctx)
		if err != nil {
			c.places.Release(need)
			c.pullFailed(ctx, err)
			continue
		}
		deliveries.Go(func() {
			d := &delivery{channel: c, msg: msg, held: need}
			d.run(ctx, sending, answering)
			c.places.Release(d.held)
		})
	}
	// A batch that is on its way to this worker would reach nobody else.
	if c.batches != nil {
		c.batches.Drain()
		for msg, err := c.batches.Next(); err == nil; msg, err = c.batches.Next() {
			(&delivery{channel: c, msg: msg}).run(ctx, sending, answering)
		}
	}
}

// next waits for a batch. Only this asks NATS for one.
func (c *workerChannel) next(ctx context.Context) (jetstream.Msg, error) {
	if c.batches == nil {
		conn := c.worker.conn
		consumer, err := conn.consumer(ctx, conn.Names.WorkStream(), conn.Names.WorkConsumer(c.Application, c.Name))
		if err != nil {
			return nil, err
		}
		if c.batches, err = consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullWait), jetstream.PullHeartbeat(pullWait/4)); err != nil {
			return nil, err
		}
		if c.trouble != "" {
			c.trouble = ""
			c.log.Info("the worker takes batches again")
		}
	}
	return c.batches.Next(jetstream.NextContext(ctx))
}

// pullFailed logs a new reason why nothing can be taken, and waits a moment.
func (c *workerChannel) pullFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if c.batches != nil {
		c.batches.Stop() // the consumer may be another one by now
		c.batches = nil
	}
	why := err.Error()
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		why = "the hub has not opened this channel yet"
	}
	if why != c.trouble {
		c.trouble = why
		c.log.Warn("the worker can't take batches; trying again", "reason", why)
	}
	sleep(ctx, retryPull)
}
