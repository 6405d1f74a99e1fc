package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// WorkerRecord describes a running worker. Each worker renews its record every RecordEvery; a
// record older than RecordTTL is gone.
type WorkerRecord struct {
	ID       string          `json:"id"`   // names one run of a worker; Names' buckets use it as key
	Host     string          `json:"host"` // for people
	Version  string          `json:"version"`
	Wire     Versions        `json:"wire"` // oldest and newest version of the wire format that it reads
	Started  time.Time       `json:"started"`
	Stopping bool            `json:"stopping,omitempty"` // it takes no more batches
	Channels []WorkerChannel `json:"channels"`
	At       time.Time       `json:"at"` // of the renewal, by the worker's clock

	// Renewed is the time of the renewal by the clock of NATS. Offset is how far the worker's
	// clock is ahead of it. Workers sets both.
	Renewed time.Time     `json:"-"`
	Offset  time.Duration `json:"-"`
}

// WorkerChannel is a channel that a worker sends.
type WorkerChannel struct {
	Application int64  `json:"application"`
	Name        string `json:"name"`
	Concurrency int    `json:"concurrency"`      // its places for messages
	Batch       int    `json:"batch,omitempty"`  // most messages in a batch that it takes; 0: as BatchLimit says
	InFlight    int    `json:"inFlight"`         // messages that it has claimed and not answered
	Reason      string `json:"reason,omitempty"` // why it can't take batches, such as an unreadable secret
}

// channel returns the channel if the worker takes its batches, else nil.
func (w *WorkerRecord) channel(application int64, name string) *WorkerChannel {
	if w.Stopping {
		return nil
	}
	for i := range w.Channels {
		if c := &w.Channels[i]; c.Application == application && c.Name == name && c.Reason == "" {
			return c
		}
	}
	return nil
}

// Sends reports whether the worker takes batches of a channel.
func (w *WorkerRecord) Sends(application int64, channel string) bool {
	return w.channel(application, channel) != nil
}

// SharedVersion returns the newest version of the wire format that all workers of a channel
// read and the hub writes. It returns false if there is none; without workers it is the hub's newest.
func SharedVersion(hub Versions, workers []WorkerRecord, application int64, channel string) (version byte, ok bool) {
	lo, hi := hub[0], hub[1]
	for i := range workers {
		if w := &workers[i]; w.Sends(application, channel) {
			lo, hi = max(lo, w.Wire[0]), min(hi, w.Wire[1])
		}
	}
	return hi, lo <= hi
}

// Workers returns the records of all running workers, by host and id. Records that can't be read
// are left out.
func (c *Conn) Workers(ctx context.Context) ([]WorkerRecord, error) { return ask(ctx, c.listWorkers) }

func (c *Conn) listWorkers(ctx context.Context) ([]WorkerRecord, error) {
	bucket, err := c.js.KeyValue(ctx, c.Names.WorkersBucket())
	if err != nil {
		return nil, fmt.Errorf("open bucket of workers: %w", err)
	}
	watcher, err := bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	defer watcher.Stop() //nolint:errcheck // the subscription ends with the connection at the latest
	var list []WorkerRecord
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("list workers: %w", ctx.Err())
		case entry, open := <-watcher.Updates():
			if !open || entry == nil { // nil: all of them were seen
				slices.SortFunc(list, func(a, b WorkerRecord) int {
					return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID, b.ID))
				})
				return list, nil
			}
			var w WorkerRecord
			if json.Unmarshal(entry.Value(), &w) != nil || w.ID != entry.Key() {
				continue
			}
			w.Renewed = entry.Created().UTC()
			w.Offset = w.At.Sub(w.Renewed)
			list = append(list, w)
		}
	}
}

// PutWorker renews a worker's record.
func (c *Conn) PutWorker(ctx context.Context, w *WorkerRecord) error {
	data, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode worker record: %w", err)
	}
	bucket, err := c.keyValue(ctx, c.Names.WorkersBucket())
	if err == nil {
		_, err = bucket.Put(ctx, w.ID, data)
	}
	if err != nil {
		return fmt.Errorf("renew worker record: %w", err)
	}
	return nil
}

// DeleteWorker removes a worker's record at its end.
func (c *Conn) DeleteWorker(ctx context.Context, id string) error {
	bucket, err := c.keyValue(ctx, c.Names.WorkersBucket())
	if err == nil {
		err = bucket.Purge(ctx, id)
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("remove worker record: %w", err)
	}
	return nil
}
