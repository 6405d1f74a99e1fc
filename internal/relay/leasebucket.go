package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// leaseBucket gives a Lease the bucket of leases, and sends and hears beats. Tests replace it by one without NATS.
type leaseBucket interface {
	Connected() bool
	leadBucket(context.Context) (jetstream.KeyValue, error)
	forgetLeadBucket()
	beat(key, id string)
	listen(key string, heard func(id string)) (stop func())
}

// leadBucket opens the bucket of leases and makes it if it is missing. It is opened once: while its servers
// elect a leader it can't be opened, but read.
func (c *Conn) leadBucket(ctx context.Context) (jetstream.KeyValue, error) {
	if !c.Connected() {
		return nil, nats.ErrDisconnected
	}
	if known := c.leases.Load(); known != nil {
		return *known, nil
	}
	name := c.Names.LeadBucket()
	bucket, err := c.keyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = c.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, Description: "campaignd: who leads",
			History: 1, Replicas: max(c.config.Replicas, 1), Storage: jetstream.FileStorage})
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	c.leases.Store(&bucket)
	return bucket, nil
}

func (c *Conn) forgetLeadBucket() { c.leases.Store(nil) }

// beat publishes that the holder of a lease lives.
func (c *Conn) beat(key, id string) {
	_ = c.nc.Publish(c.Names.Beat(key), []byte(id)) // without a connection nobody hears it
}

// listen calls heard with the holder's id at every beat of a lease, until stop is called.
func (c *Conn) listen(key string, heard func(id string)) (stop func()) {
	sub, err := c.nc.Subscribe(c.Names.Beat(key), func(m *nats.Msg) { heard(string(m.Data)) })
	if err != nil { // the connection was closed, and every call fails
		return func() {}
	}
	return func() { _ = sub.Unsubscribe() } // it ends with the connection at the latest
}

// LeaseHolder returns who holds a lease, and how old its last renewal is by the clock of this
// machine and NATS's: for people only. It returns false if nobody does.
func (c *Conn) LeaseHolder(ctx context.Context, key string) (h Holder, renewed time.Time, ok bool, err error) {
	bucket, err := c.leadBucket(ctx)
	if err != nil {
		return h, renewed, false, err
	}
	entry, err := bucket.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return h, renewed, false, nil
	}
	if err != nil {
		c.forgetLeadBucket()
		return h, renewed, false, fmt.Errorf("read the lease: %w", err)
	}
	if json.Unmarshal(entry.Value(), &h) != nil || h.ID == "" {
		return h, renewed, false, nil
	}
	return h, entry.Created().UTC(), true, nil
}

// wrongRevision reports whether a key wasn't written because it has another revision than expected.
func wrongRevision(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}
