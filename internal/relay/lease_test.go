package relay

import (
	"context"
	"encoding/json"
	"errors"
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
	down     bool
}

var errDown = errors.New("no server answers")

func (b *fakeBucket) open(context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, errDown
	}
	return b, nil
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
	if last != b.revision {
		return 0, jetstream.ErrKeyExists
	}
	b.revision++
	b.value = value
	return b.revision, nil
}

func (b *fakeBucket) lease(id string) *Lease {
	l := (&Conn{}).NewLease(LeaseOptions{Key: LeaseLead, Time: 3 * time.Second, Self: Holder{ID: id, Host: "host-" + id}})
	l.open = b.open
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
		set := func(down bool) {
			b.mu.Lock()
			b.down = down
			b.mu.Unlock()
		}
		set(true)
		time.Sleep(10 * time.Second)
		if first.Held() {
			t.Error("the holder counts on a lease that it can't renew")
		}
		set(false)
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
	if err != nil || !ok || h.Host != "one" || h.Behind != 7 || time.Since(at).Abs() > time.Minute {
		data, _ := json.Marshal(h)
		t.Errorf("the holder is %s at %v (%v, %v), want host one and 7 behind", data, at, ok, err)
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
