package relay

import (
	"context"
	"crypto/rand"

	"github.com/nats-io/nats.go/jetstream"
)

// arrival is a message of a stream, or the error that ends its reading.
type arrival struct {
	msg jetstream.Msg
	err error
}

// ordered creates a consumer that reads a stream in order.
func (c *Conn) ordered(ctx context.Context, stream string, config jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	config.NamePrefix = rand.Text() // a repetition creates the same one
	return ask(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return c.js.OrderedConsumer(ctx, stream, config)
	})
}

// read reads a stream in order until ctx ends. Whoever receives from the channel never waits for NATS: the
// client does that when its consumer was lost with a server, for ten seconds and more, whatever it was told.
func (c *Conn) read(ctx context.Context, stream string, config jetstream.OrderedConsumerConfig, options ...jetstream.PullMessagesOpt) (<-chan arrival, error) {
	consumer, err := c.ordered(ctx, stream, config)
	if err != nil {
		return nil, err
	}
	all, err := consumer.Messages(options...)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, all.Stop) // ends also the search for another consumer, within its ten seconds
	arrived := make(chan arrival)
	go func() {
		defer all.Stop()
		for {
			msg, err := all.Next(jetstream.NextContext(ctx))
			select {
			case arrived <- arrival{msg, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return arrived, nil
}
