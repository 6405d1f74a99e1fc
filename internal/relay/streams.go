package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// duplicates is how long the streams recognize a repeated publish by its message id.
const duplicates = 10 * time.Minute

// maxPending limits the batches of a channel that workers have taken and not acknowledged.
const maxPending = 10_000

// Declare creates the streams and the bucket that are missing. It leaves those that exist as they
// are: doctor compares their settings with the configuration. Hub and workers call it when they
// connect and whenever NATS says that one of them is gone.
func (c *Conn) Declare(ctx context.Context) error {
	replicas := max(c.config.Replicas, 1)
	for _, s := range []jetstream.StreamConfig{
		{
			Name: c.Names.WorkStream(), Subjects: []string{c.Names.WorkAll()}, Description: "campaignd: batches for workers",
			Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: replicas, MaxAge: WorkAge, Duplicates: duplicates,
		},
		{
			Name: c.Names.DoneStream(), Subjects: []string{c.Names.DoneAll()}, Description: "campaignd: answers of workers",
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: replicas, MaxAge: DoneAge, Duplicates: duplicates,
		},
	} {
		if err := c.create(ctx, s); err != nil {
			return err
		}
	}
	bucket := jetstream.KeyValueConfig{
		Bucket: c.Names.WorkersBucket(), Description: "campaignd: running workers",
		History: 1, TTL: RecordTTL, Replicas: replicas, Storage: jetstream.FileStorage,
	}
	_, err := ask(ctx, func(ctx context.Context) (jetstream.KeyValue, error) { return c.js.CreateKeyValue(ctx, bucket) })
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("create bucket %s: %w", bucket.Bucket, err)
	}
	return nil
}

// create creates a stream if it is missing.
func (c *Conn) create(ctx context.Context, s jetstream.StreamConfig) error {
	_, err := ask(ctx, func(ctx context.Context) (jetstream.Stream, error) { return c.js.CreateStream(ctx, s) })
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create stream %s: %w", s.Name, err)
	}
	return nil
}

// DeclareChannel creates the consumer from which workers take a channel's batches, or gives it
// other settings. hold says that on_unknown is "hold": then a batch is delivered once. Only the
// hub calls it; a worker waits until the consumer exists.
func (c *Conn) DeclareChannel(ctx context.Context, application int64, channel string, hold bool) error {
	deliveries := MaxDeliveries
	if hold {
		deliveries = 1
	}
	_, err := ask(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return c.js.CreateOrUpdateConsumer(ctx, c.Names.WorkStream(), jetstream.ConsumerConfig{
			Durable: c.Names.WorkConsumer(application, channel), FilterSubject: c.Names.Work(application, channel),
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: AckWait, MaxDeliver: deliveries, MaxAckPending: maxPending,
		})
	})
	if err != nil {
		return fmt.Errorf("create consumer of application %d, channel %s: %w", application, channel, err)
	}
	return nil
}
