package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Keys of leases.
const (
	LeaseLead    = "lead"    // held by the hub
	LeaseStandby = "standby" // held by the standby that follows it
)

// Holder describes who holds a lease. It is told to people; nothing is decided by it but whose the
// lease is.
type Holder struct {
	ID      string    `json:"id"` // names one run of a process
	Host    string    `json:"host"`
	Version string    `json:"version"`
	Since   time.Time `json:"since"` // by the holder's clock

	Behind  uint64  `json:"behind,omitempty"`  // of a standby: messages of the log that it hasn't applied
	Lag     float64 `json:"lag,omitempty"`     // of a standby: seconds since it last had all
	Ready   bool    `json:"ready,omitempty"`   // of a standby: its copy is complete
	Problem string  `json:"problem,omitempty"` // of a standby: why it can't follow
}

// Lease is one key of the bucket that a single process may hold. Its holder renews it every third
// of Time. Another process takes it when it has seen no renewal for Time on its own clock while it
// was connected, so that clocks of two machines are never compared, and an outage of NATS gives
// nobody the lease. It only says when to try: the log decides who leads.
type Lease struct {
	open func(context.Context) (jetstream.KeyValue, error)
	key  string
	time time.Duration
	log  *slog.Logger

	mu       sync.Mutex // guards the fields below
	self     Holder
	holder   Holder    // the last one seen
	revision uint64    // of the key; 0: it was never seen
	seen     time.Time // when the revision was seen first, or the observation began
	renewals int       // of others, seen since Take was called
	renewed  time.Time // when the last renewal that succeeded was sent; zero: not held
	problem  error     // of the last call, nil if it succeeded
}

// LeaseOptions describe a lease.
type LeaseOptions struct {
	Key  string        // LeaseLead or LeaseStandby
	Time time.Duration // see Lease
	Self Holder
	Log  *slog.Logger
}

// ErrLeaseLost is returned when another process has taken the lease.
var ErrLeaseLost = errors.New("another process has taken the lease")

// errNotFree is returned by try while another process renews the lease.
var errNotFree = errors.New("another process holds the lease")

// NewLease returns a lease that isn't held yet. It does no I/O.
func (c *Conn) NewLease(o LeaseOptions) *Lease {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Lease{open: c.leadBucket, key: o.Key, time: o.Time, log: o.Log, self: o.Self}
}

// Take waits until the lease is held, or ctx ends. observe is called after every look that found
// another holder, with the number of renewals seen so far: a holder that renews is alive. An error
// of it ends the wait. Take may be called again after Release.
func (l *Lease) Take(ctx context.Context, observe func(h Holder, renewals int) error) error {
	l.mu.Lock()
	l.seen, l.revision, l.renewals = time.Now(), 0, -1
	l.mu.Unlock()
	for {
		err := l.try(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, errNotFree) && observe != nil {
			l.mu.Lock()
			holder, renewals := l.holder, max(l.renewals, 0)
			l.mu.Unlock()
			if err := observe(holder, renewals); err != nil {
				return err
			}
		}
		if !sleep(ctx, l.time/10) {
			return fmt.Errorf("take the lease: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// try takes the lease if it is free.
func (l *Lease) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	bucket, err := l.open(ctx)
	if err != nil {
		return l.note(err)
	}
	entry, err := bucket.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		// It was given up, or the bucket is new: then its holder renews it soon.
		if free := l.observed(0, Holder{}); !free {
			return l.note(errNotFree)
		}
		sent := time.Now()
		revision, err := bucket.Create(ctx, l.key, l.value())
		return l.taken(revision, sent, err)
	case err != nil:
		return l.note(err)
	}
	var holder Holder
	_ = json.Unmarshal(entry.Value(), &holder) // what can't be read is nobody's and grows old all the same
	if released := holder.ID == ""; !l.observed(entry.Revision(), holder) && !released {
		return l.note(errNotFree)
	}
	sent := time.Now()
	revision, err := bucket.Update(ctx, l.key, l.value(), entry.Revision())
	return l.taken(revision, sent, err)
}

// observed notes what the bucket says and reports whether it has said so for Time.
func (l *Lease) observed(revision uint64, holder Holder) (free bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision != l.revision {
		l.revision, l.seen = revision, time.Now()
		l.renewals++
	}
	l.holder = holder
	return time.Since(l.seen) >= l.time
}

// taken notes the result of writing the key.
func (l *Lease) taken(revision uint64, sent time.Time, err error) error {
	if err != nil {
		if wrongRevision(err) {
			err = errNotFree
		}
		return l.note(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.renewed, l.holder, l.problem = revision, sent, l.self, nil
	return nil
}

// note keeps the problem of a call. Without a connection nothing is observed.
func (l *Lease) note(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problem = err
	if errors.Is(err, errNotFree) {
		l.problem = nil
	} else {
		l.seen = time.Now()
	}
	return err
}

// Keep renews the lease until ctx ends, or returns ErrLeaseLost. While NATS can't be reached it
// goes on trying.
func (l *Lease) Keep(ctx context.Context) error {
	ticker := time.NewTicker(l.time / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := l.renew(ctx); errors.Is(err, ErrLeaseLost) {
			return err
		}
	}
}

func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	bucket, err := l.open(ctx)
	if err != nil {
		return l.note(err)
	}
	l.mu.Lock()
	last := l.revision
	l.mu.Unlock()
	sent := time.Now()
	revision, err := bucket.Update(ctx, l.key, l.value(), last)
	if !wrongRevision(err) {
		return l.taken(revision, sent, err)
	}
	// Another holder, an acknowledgement that was lost, or a bucket that was made again.
	entry, err := bucket.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		revision, err = bucket.Create(ctx, l.key, l.value())
		return l.taken(revision, sent, err)
	case err != nil:
		return l.note(err)
	}
	var holder Holder
	if json.Unmarshal(entry.Value(), &holder) != nil || holder.ID != l.id() {
		l.mu.Lock()
		l.holder, l.renewed = holder, time.Time{}
		l.mu.Unlock()
		return ErrLeaseLost
	}
	revision, err = bucket.Update(ctx, l.key, l.value(), entry.Revision())
	return l.taken(revision, sent, err)
}

// Release gives the lease up, so that another process has it at once.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	held, last := !l.renewed.IsZero(), l.revision
	l.renewed = time.Time{}
	l.mu.Unlock()
	if !held {
		return nil
	}
	bucket, err := l.open(ctx)
	if err == nil {
		_, err = bucket.Update(ctx, l.key, []byte("{}"), last)
	}
	if err != nil && !wrongRevision(err) {
		return fmt.Errorf("give up the lease: %w", err)
	}
	return nil
}

// Held reports whether the lease is held: its last renewal was sent less than Time ago.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.renewed.IsZero() && time.Since(l.renewed) < l.time
}

// Holder returns who held the lease at the last look; its ID is "" if nobody did.
func (l *Lease) Holder() Holder {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder
}

// Problem returns why the last call failed, nil if it didn't.
func (l *Lease) Problem() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

// Announce changes what the holder says about itself from the next renewal on.
func (l *Lease) Announce(change func(*Holder)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.self)
}

func (l *Lease) id() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.self.ID
}

func (l *Lease) value() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, err := json.Marshal(l.self)
	if err != nil { // a Holder has nothing that can't be encoded
		return nil
	}
	return data
}

// leadBucket opens the bucket of leases and makes it if it is missing.
func (c *Conn) leadBucket(ctx context.Context) (jetstream.KeyValue, error) {
	if !c.Connected() {
		return nil, nats.ErrDisconnected
	}
	name := c.Names.LeadBucket()
	bucket, err := c.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = c.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, Description: "campaignd: who leads",
			History: 1, Replicas: max(c.config.Replicas, 1), Storage: jetstream.FileStorage})
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return bucket, nil
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
