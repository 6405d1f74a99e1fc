package relay

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// fakeBucket is a bucket in memory, for virtual time. Only what a Lease calls is there.
type fakeBucket struct {
	jetstream.KeyValue

	mu       sync.Mutex // guards the fields below
	revision uint64
	value    []byte
	down     bool                       // no server is connected
	electing bool                       // nothing can be written
	deaf     string                     // nothing that has this text can be written
	heard    map[string]func(id string) // who listens, by name
}

var errDown = errors.New("no server answers")

func (b *fakeBucket) Connected() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.down
}

func (b *fakeBucket) leadBucket(context.Context) (jetstream.KeyValue, error) {
	if !b.Connected() {
		return nil, errDown
	}
	return b, nil
}

func (*fakeBucket) forgetLeadBucket() {}

func (b *fakeBucket) beat(_, id string) {
	b.mu.Lock()
	heard := slices.Collect(maps.Values(b.heard))
	if b.down {
		heard = nil
	}
	b.mu.Unlock()
	for _, hear := range heard {
		hear(id)
	}
}

// ofOne gives one process, by its name, access to the bucket and to the beats.
type ofOne struct {
	*fakeBucket
	name string
}

func (b ofOne) listen(_ string, heard func(id string)) (stop func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.heard == nil {
		b.heard = map[string]func(string){}
	}
	b.heard[b.name] = heard
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.heard, b.name)
	}
}

// set changes the bucket.
func (b *fakeBucket) set(change func(*fakeBucket)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

type fakeEntry struct {
	jetstream.KeyValueEntry
	revision uint64
	value    []byte
}

func (e fakeEntry) Value() []byte    { return e.value }
func (e fakeEntry) Revision() uint64 { return e.revision }

func (b *fakeBucket) Get(context.Context, string) (jetstream.KeyValueEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.value == nil {
		return nil, jetstream.ErrKeyNotFound
	}
	return fakeEntry{revision: b.revision, value: b.value}, nil
}

func (b *fakeBucket) Create(ctx context.Context, key string, value []byte, _ ...jetstream.KVCreateOpt) (uint64, error) {
	return b.Update(ctx, key, value, 0)
}

func (b *fakeBucket) Update(_ context.Context, _ string, value []byte, last uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.electing, b.deaf != "" && strings.Contains(string(value), b.deaf):
		return 0, jetstream.ErrNoStreamResponse
	case last != b.revision:
		return 0, jetstream.ErrKeyExists
	}
	b.revision++
	b.value = value
	return b.revision, nil
}

func (b *fakeBucket) lease(id string) *Lease {
	l := (&Conn{}).NewLease(LeaseOptions{Key: LeaseLead, Time: 3 * time.Second, Self: Holder{ID: id, Host: "host-" + id}})
	l.bucket = ofOne{b, id}
	return l
}

func TestALeaseIsTakenOnceItsHolderIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		first, second := b.lease("a"), b.lease("b")
		if err := first.Take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		keeping, die := context.WithCancel(t.Context())
		go func() { _ = first.Keep(keeping) }()
		taken := make(chan time.Time, 1)
		go func() {
			if second.Take(t.Context(), nil) == nil {
				taken <- time.Now()
			}
		}()
		time.Sleep(time.Minute)
		select {
		case <-taken:
			t.Fatal("the lease was taken while its holder renewed it")
		default:
		}
		if got := second.Holder().Host; got != "host-a" {
			t.Errorf("the holder is %q, want host-a", got)
		}
		die()
		died := time.Now()
		if got := (<-taken).Sub(died); got < 2*time.Second || got > 3500*time.Millisecond {
			t.Errorf("the lease was taken %s after its holder's end, want 2s to 3.5s", got)
		}
		if !second.Held() {
			t.Error("the second doesn't hold what it took")
		}
	})
}

func TestALeaseOfAFrozenHolderIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		first, second := b.lease("a"), b.lease("b")
		if err := first.Take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := second.Take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if first.Held() {
			t.Error("a holder that hasn't renewed for the lease's time holds it still")
		}
		if err := first.Keep(t.Context()); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("keep: got %v, want ErrLeaseLost", err)
		}
	})
}

// While NATS is away nobody sees renewals, and afterwards the holder is the first to be seen.
func TestAnOutageGivesNobodyTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		first, second := b.lease("a"), b.lease("b")
		if err := first.Take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		waiting, end := context.WithCancel(t.Context())
		defer end()
		kept := make(chan error, 1)
		go func() { kept <- first.Keep(waiting) }()
		taken := make(chan error, 1)
		go func() { taken <- second.Take(waiting, nil) }()
		b.set(func(b *fakeBucket) { b.down = true })
		time.Sleep(10 * time.Second)
		if first.Held() {
			t.Error("the holder counts on a lease that it can't renew")
		}
		b.set(func(b *fakeBucket) { b.down = false })
		time.Sleep(10 * time.Second)
		select {
		case err := <-taken:
			t.Fatalf("the lease was taken: %v", err)
		case err := <-kept:
			t.Fatalf("the lease was lost: %v", err)
		default:
		}
		if !first.Held() {
			t.Error("the holder doesn't hold it after the outage")
		}
		end()
		<-kept
		<-taken
	})
}

// pairOfLeases returns a lease that is held and kept until die is called, and when another one, which waits for
// it, is taken.
func pairOfLeases(t *testing.T, b *fakeBucket) (first *Lease, die func(), taken <-chan time.Time) {
	t.Helper()
	first, second := b.lease("a"), b.lease("b")
	if err := first.Take(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	keeping, die := context.WithCancel(t.Context())
	at := make(chan time.Time, 1)
	go func() { _ = first.Keep(keeping) }()
	go func() {
		if second.Take(t.Context(), nil) == nil {
			at <- time.Now()
		}
	}()
	time.Sleep(10 * time.Second)
	return first, die, at
}

func TestADeathDuringAnElectionIsNoticedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		_, die, taken := pairOfLeases(t, b)
		b.set(func(b *fakeBucket) { b.electing = true })
		die()
		time.Sleep(8 * time.Second)
		b.set(func(b *fakeBucket) { b.electing = false })
		elected := time.Now()
		if got := (<-taken).Sub(elected); got < 0 || got > 500*time.Millisecond {
			t.Errorf("the lease was taken %s after the election, want at most 0.5s", got)
		}
	})
}

func TestAnElectionCostsALivingHolderItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		first, die, taken := pairOfLeases(t, b)
		defer die()
		// After 10 s of election up to 11 s are between two renewals, and the lease is free after 12.
		for _, length := range []time.Duration{4 * time.Second, 9 * time.Second, 10 * time.Second, 30 * time.Second} {
			b.set(func(b *fakeBucket) { b.electing = true })
			time.Sleep(length)
			if first.Held() {
				t.Error("the holder counts on a lease that it can't renew")
			}
			b.set(func(b *fakeBucket) { b.electing = false })
			time.Sleep(10 * time.Second)
			if len(taken) > 0 || !first.Held() {
				t.Fatalf("after an election of %s the lease is held by its holder: %t, was taken: %t", length, first.Held(), len(taken) > 0)
			}
		}
	})
}

// A holder that lives and can't renew, though others could, must not keep the lease for ever.
func TestBeatsAloneKeepALeaseForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		_, die, taken := pairOfLeases(t, b)
		defer die()
		b.set(func(b *fakeBucket) { b.deaf = "host-a" })
		cut := time.Now()
		if got := (<-taken).Sub(cut); got < 10*time.Second || got > 13*time.Second {
			t.Errorf("the lease was taken %s after its last renewal, want 10s to 13s", got)
		}
	})
}

func TestADeadHolderIsStillShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBucket{}
		holder := b.lease("a")
		if err := holder.Take(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex // guards shown
		shown := ""
		show := func() string {
			mu.Lock()
			defer mu.Unlock()
			return shown
		}
		watching, end := context.WithCancel(t.Context())
		defer end()
		go b.lease("b").Watch(watching, func(h Holder) {
			mu.Lock()
			defer mu.Unlock()
			shown = h.Host
		})
		time.Sleep(time.Second)
		if got := show(); got != "" {
			t.Errorf("a holder that was neither seen renewing nor heard is shown as %q", got)
		}
		keeping, die := context.WithCancel(t.Context())
		go func() { _ = holder.Keep(keeping) }()
		time.Sleep(3 * time.Second)
		if got := show(); got != "host-a" {
			t.Errorf("a holder that renews is shown as %q, want host-a", got)
		}
		b.set(func(b *fakeBucket) { b.electing = true })
		time.Sleep(9 * time.Second)
		if got := show(); got != "host-a" {
			t.Errorf("during an election a holder that lives is shown as %q, want host-a", got)
		}
		b.set(func(b *fakeBucket) { b.electing = false })
		time.Sleep(3 * time.Second)
		die()
		time.Sleep(4500 * time.Millisecond) // its lease of 3 s and a look more
		if got := show(); got != "" {
			t.Errorf("4.5 s after its death %q is shown, want nobody", got)
		}
	})
}

func TestALeaseIsGivenUpAndTaken(t *testing.T) {
	s := startServer(t)
	first := connect(t, s).NewLease(LeaseOptions{Key: LeaseLead, Time: time.Second, Self: Holder{ID: "a", Host: "one", Version: "v1"}})
	c := connect(t, s)
	second := c.NewLease(LeaseOptions{Key: LeaseLead, Time: 10 * time.Second, Self: Holder{ID: "b", Host: "two"}})
	if err := first.Take(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	first.Announce(func(h *Holder) { h.Behind = 7 })
	if err := first.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	h, at, ok, err := c.LeaseHolder(t.Context(), LeaseLead)
	switch {
	case err != nil:
		t.Errorf("the holder: %v", err)
	case !ok:
		t.Error("nobody holds the lease, want host one")
	case h.Host != "one":
		t.Errorf("the holder is on host %q, want one", h.Host)
	case h.Behind != 7:
		t.Errorf("the holder is %d behind, want 7", h.Behind)
	case time.Since(at).Abs() > time.Minute:
		t.Errorf("the lease was renewed %s ago, want less than a minute", time.Since(at))
	}
	stop := errors.New("enough")
	if err := second.Take(t.Context(), func(h Holder, _ int) error {
		if h.ID != "a" {
			t.Errorf("the holder is %q, want a", h.ID)
		}
		return stop
	}); !errors.Is(err, stop) {
		t.Fatalf("take what another holds: got %v, want the observer's error", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Take(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := c.LeaseHolder(t.Context(), LeaseStandby); ok || err != nil {
		t.Errorf("the other lease is held (%v, %v), want nobody", ok, err)
	}
}
