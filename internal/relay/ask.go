package relay

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// askEvery is the interval between repetitions of a question that nobody answers.
const askEvery = 500 * time.Millisecond

// ask calls do, and again every askEvery, until a call returns or ctx ends, for callTimeout at most. It
// returns what the first call does. While servers elect a leader they drop what only a leader answers, and
// a single question would then wait for its timeout although there has long been one. do reads, or changes
// nothing when it is repeated.
func ask[T any](ctx context.Context, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer)
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		go func() {
			value, err := do(ctx)
			select {
			case answers <- answer{value, err}:
			case <-ctx.Done():
			}
		}()
		select {
		case a := <-answers:
			return a.value, a.err
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		case <-again.C:
		}
	}
}

// stream opens a stream and asks for its state.
func (c *Conn) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	return ask(ctx, func(ctx context.Context) (jetstream.Stream, error) { return c.js.Stream(ctx, name) })
}

// keyValue opens a bucket.
func (c *Conn) keyValue(ctx context.Context, name string) (jetstream.KeyValue, error) {
	return ask(ctx, func(ctx context.Context) (jetstream.KeyValue, error) { return c.js.KeyValue(ctx, name) })
}

// message returns a message of a stream.
func message(ctx context.Context, s jetstream.Stream, seq uint64, options ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	return ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return s.GetMsg(ctx, seq, options...) })
}

// lastMessage returns the last message of a subject.
func lastMessage(ctx context.Context, s jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	return ask(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.GetLastMsgForSubject(ctx, subject)
	})
}

// consumer opens a consumer that exists.
func (c *Conn) consumer(ctx context.Context, stream, name string) (jetstream.Consumer, error) {
	return ask(ctx, func(ctx context.Context) (jetstream.Consumer, error) { return c.js.Consumer(ctx, stream, name) })
}
