package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

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
//
// While three servers elect a leader, for up to nine seconds, nobody can renew anything. So that the
// death of the holder is noticed meanwhile, and a holder that lives isn't taken for dead afterwards, it also
// publishes a beat, which needs no leader. Who hears beats waits for four times Time.
type Lease struct {
	bucket leaseBucket
	key    string
	time   time.Duration

	mu       sync.Mutex // guards the fields below
	heard    time.Time  // when the last beat was heard, or listening began
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
}

// ErrLeaseLost is returned when another process has taken the lease.
var ErrLeaseLost = errors.New("another process has taken the lease")

// errNotFree is returned by try while another process renews the lease.
var errNotFree = errors.New("another process holds the lease")

// NewLease returns a lease that isn't held yet. It does no I/O.
func (c *Conn) NewLease(o LeaseOptions) *Lease {
	return &Lease{bucket: c, key: o.Key, time: o.Time, self: o.Self}
}

// Take waits until the lease is held, or ctx ends. observe is called after every look that found
// another holder, with the number of renewals seen so far: a holder that renews is alive. An error
// of it ends the wait. Take may be called again after Release.
func (l *Lease) Take(ctx context.Context, observe func(h Holder, renewals int) error) error {
	defer l.begin()()
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

// Watch calls see with the holder, every third of Time until ctx ends. Its ID is "" if the lease is free,
// if the holder wasn't seen renewing it or heard yet, and if NATS doesn't answer.
func (l *Lease) Watch(ctx context.Context, see func(Holder)) {
	defer l.begin()()
	for {
		see(l.look(ctx))
		if !sleep(ctx, l.time/3) {
			return
		}
	}
}

// begin begins an observation: what was seen before says nothing. end stops listening to beats.
func (l *Lease) begin() (end func()) {
	l.mu.Lock()
	now := time.Now()
	l.seen, l.heard, l.revision, l.renewals = now, now.Add(-l.time), 0, -1
	l.mu.Unlock()
	return l.bucket.listen(l.key, l.hear)
}

// look returns who holds the lease and lives.
func (l *Lease) look(ctx context.Context) Holder {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	bucket, err := l.bucket.leadBucket(ctx)
	if err != nil {
		_ = l.note(err) // nothing to add to it
		return Holder{}
	}
	entry, err := l.get(ctx, bucket)
	if err != nil {
		_ = l.note(err)
		return Holder{}
	}
	holder := readHolder(entry)
	free := l.observed(entry.Revision(), holder)
	l.mu.Lock()
	defer l.mu.Unlock()
	if free || l.renewals < 1 && !l.beats() {
		return Holder{}
	}
	return holder
}

// readHolder decodes a key. What can't be read is nobody's, and grows old all the same.
func readHolder(entry jetstream.KeyValueEntry) (h Holder) {
	_ = json.Unmarshal(entry.Value(), &h)
	return h
}

// try takes the lease if it is free.
func (l *Lease) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	bucket, err := l.bucket.leadBucket(ctx)
	if err != nil {
		return l.note(err)
	}
	entry, err := l.get(ctx, bucket)
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
	holder := readHolder(entry)
	// Its own id says that only an acknowledgement was lost.
	if released := holder.ID == "" || holder.ID == l.id(); !l.observed(entry.Revision(), holder) && !released {
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
	if l.beats() {
		return time.Since(l.seen) >= 4*l.time
	}
	return time.Since(l.seen) >= l.time
}

// hear notes a beat.
func (l *Lease) hear(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == l.holder.ID {
		l.heard = time.Now()
	}
}

// beats reports whether the holder may live by its beats. l.mu is held.
func (l *Lease) beats() bool { return time.Since(l.heard) < l.time }

// get reads the key. A bucket that doesn't answer is opened again: it may have been lost.
func (l *Lease) get(ctx context.Context, bucket jetstream.KeyValue) (jetstream.KeyValueEntry, error) {
	entry, err := bucket.Get(ctx, l.key)
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		l.bucket.forgetLeadBucket()
	}
	return entry, err
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

// note keeps the problem of a call. Without a connection nothing is observed or heard. With one, a holder
// that lives can't renew either; one that is silent doesn't want to.
func (l *Lease) note(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problem = err
	switch {
	case errors.Is(err, errNotFree):
		l.problem = nil
	case !l.bucket.Connected():
		l.seen, l.heard = time.Now(), time.Now()
	case l.beats():
		l.seen = time.Now()
	}
	return err
}

// Keep renews the lease until ctx ends, or returns ErrLeaseLost. While NATS can't be reached it
// goes on trying.
func (l *Lease) Keep(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go l.beat(ctx)
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

// beat publishes beats until ctx ends, also while a renewal waits for an answer.
func (l *Lease) beat(ctx context.Context) {
	ticker := time.NewTicker(l.time / 3)
	defer ticker.Stop()
	for {
		l.bucket.beat(l.key, l.id())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.time)
	defer cancel()
	bucket, err := l.bucket.leadBucket(ctx)
	if err != nil {
		return l.note(err)
	}
	l.mu.Lock()
	last := l.revision
	l.mu.Unlock()
	sent := time.Now()
	revision, failed := bucket.Update(ctx, l.key, l.value(), last)
	if failed == nil {
		return l.taken(revision, sent, nil)
	}
	// Another holder, an acknowledgement that was lost, a bucket that was made again, or none.
	entry, err := l.get(ctx, bucket)
	switch {
	case !wrongRevision(failed):
		return l.note(failed)
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
	bucket, err := l.bucket.leadBucket(ctx)
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
