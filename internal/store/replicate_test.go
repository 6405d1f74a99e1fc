package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// memoryLog is a Log in memory.
type memoryLog struct {
	mu    sync.Mutex // guards the fields below
	sets  [][]byte
	after []Position

	refuse error        // of Append
	wait   func() error // of the acknowledgements; nil: at once
}

func (l *memoryLog) Append(_, after Position, set []byte) (func() error, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return nil, l.refuse
	}
	l.sets, l.after = append(l.sets, set), append(l.after, after)
	return l.wait, nil
}

func (l *memoryLog) epoch() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.after) == 0 {
		return 0
	}
	return l.after[len(l.after)-1].Epoch
}

// take returns the sets appended since the last take.
func (l *memoryLog) take() (sets [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sets, l.sets = l.sets, nil
	return sets
}

// base is a snapshot.
type base struct {
	at     Position
	size   int64
	chunks [][]byte
}

func snapshot(t failer, s *Store) (b base) {
	t.Helper()
	if err := s.Snapshot(false, func(at Position, size int64) error {
		b.at, b.size = at, size
		return nil
	}, func(packed []byte) error {
		b.chunks = append(b.chunks, bytes.Clone(packed))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// install gives f a base.
func install(t failer, f *Follower, from base) error {
	t.Helper()
	b, err := f.NewBase()
	if err != nil {
		t.Fatal(err)
	}
	for _, packed := range from.chunks {
		if err := b.Add(packed); err != nil {
			return errors.Join(err, b.Discard())
		}
	}
	return b.Install(from.at, from.size)
}

// mustInstall gives f a base of s.
func mustInstall(t failer, f *Follower, s *Store) {
	t.Helper()
	if err := install(t, f, snapshot(t, s)); err != nil {
		t.Fatal(err)
	}
}

// TestFollowerEqualsHub does random operations on a replicated store. Its follower gets the write
// sets in random groups, and now and then a base. After each it holds the same.
func TestFollowerEqualsHub(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func(t *testing.T) {
			m := newModel(t)
			m.log = &memoryLog{}
			m.open(rt)
			defer func() { m.s.Close() }()
			path := filepath.Join(t.TempDir(), "copy.db")
			f := openFollower(rt, path)
			defer func() { f.Close() }()
			reopen := func() {
				f.Close()
				f = openFollower(rt, path)
				f.MaxFree = 0
			}
			compare := func() {
				f.Close()
				diff := cmp.Diff(content(rt, m.s), contentOf(rt, path))
				reopen()
				if diff != "" {
					rt.Fatal(diff)
				}
			}
			actions := m.actions()
			actions["forget"] = m.forget
			actions["userid"] = m.userID
			actions["base"] = func(rt *rapid.T) { mustInstall(rt, f, m.s) }
			actions["compact copy"] = func(rt *rapid.T) {
				if err := f.Compact(context.Background()); err != nil {
					rt.Fatal(err)
				}
			}
			actions["reopen copy"] = func(*rapid.T) { reopen() }
			actions[""] = func(rt *rapid.T) {
				sets := m.log.take()
				if f.Position() == (Position{}) {
					mustInstall(rt, f, m.s)
				}
				for len(sets) > 0 {
					n := rapid.IntRange(1, len(sets)).Draw(rt, "sets at once")
					if err := f.Apply(sets[:n]...); err != nil {
						rt.Fatal(err)
					}
					sets = sets[n:]
				}
				if rapid.IntRange(0, 5).Draw(rt, "compare") > 0 {
					return // comparing takes longer than the rest
				}
				compare()
			}
			rt.Repeat(actions)
			compare()
			f.Close()
			copied, err := Open(path, Options{NoSync: true, Checked: true, InitialMmapSize: 1 << 20})
			if err != nil {
				rt.Fatal(err)
			}
			defer copied.Close()
			if found := copied.Verify(true); len(found) > 0 {
				rt.Fatalf("verify: %q", found)
			}
			if copied.Restored() != "" {
				rt.Fatalf("the copy seems to be restored %s", copied.Restored())
			}
		})
	})
}

func openFollower(t failer, path string) *Follower {
	t.Helper()
	f, err := OpenFollower(path, Options{NoSync: true, InitialMmapSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// forget removes a contact to which the model doesn't send.
func (m *model) forget(rt *rapid.T) {
	contact := rapid.SampledFrom([]string{"+34999000001", "+34999000002"}).Draw(rt, "contact")
	if _, err := m.s.Forget(context.Background(), contact, []Place{{Application: 1, ChannelType: "a"}}); err != nil {
		rt.Fatal(err)
	}
}

// userID writes buckets that are made on first use.
func (m *model) userID(rt *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(rt, "number")
	err := errors.Join(m.s.LearnUserID(fmt.Sprintf("user%d", n), fmt.Sprintf("3460000000%d", n), time.Now()),
		m.s.PutRecord("test/a", []byte{byte(n)}), m.s.SetInboxID("/in", fmt.Sprint(n)), m.s.Audit(AuditEntry{Action: "test"}))
	if _, more := m.s.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: fmt.Sprintf("+3499900000%d", n)}}); more != nil {
		err = errors.Join(err, more)
	}
	if _, _, more := m.s.Contacts("daily", 9).Allow(fmt.Appendf(nil, "3460000000%d", n), time.Now()); more != nil {
		err = errors.Join(err, more)
	}
	if err != nil {
		rt.Fatal(err)
	}
}

// replicated returns an open store that appends to a log.
func replicated(t *testing.T) (*Store, *memoryLog) {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "hub.db"), Options{InitialMmapSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l := &memoryLog{}
	if err := s.Replicate(l, 1); err != nil {
		t.Fatal(err)
	}
	return s, l
}

func TestCommitReturnsBeforeTheLogHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := replicated(t)
		acknowledged := make(chan struct{})
		l.wait = func() error { <-acknowledged; return nil }
		done := make(chan error, 2)
		go func() { done <- s.PutRecord("a", []byte("1")) }()
		synctest.Wait()
		go func() { done <- s.PutRecord("a", []byte("2")) }() // it begins although the first waits
		synctest.Wait()
		if len(done) > 0 {
			t.Error("a commit returned without its acknowledgement")
		}
		if len(l.sets) != 3 {
			t.Errorf("%d sets appended, want 3: epoch, 1 and 2", len(l.sets))
		}
		close(acknowledged)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestDeposedStoreGoesOn(t *testing.T) {
	for _, late := range []bool{false, true} {
		s, l := replicated(t)
		if late {
			l.wait = func() error { return ErrDeposed }
		} else {
			l.refuse = ErrDeposed
		}
		if err := s.PutRecord("a", []byte("1")); !errors.Is(err, ErrDeposed) {
			t.Errorf("write: %v, want %v", err, ErrDeposed)
		}
		select {
		case <-s.Ended():
		default:
			t.Error("the store hasn't ended")
		}
		if _, err := s.Record("a"); !errors.Is(err, ErrDeposed) {
			t.Errorf("read: %v, want %v", err, ErrDeposed)
		}
	}
}

func TestCommitHappensAlthoughTheLogRefusedIt(t *testing.T) {
	s, l := replicated(t)
	l.refuse = errors.New("closed")
	if err := s.PutRecord("a", []byte("1")); err == nil {
		t.Error("no error")
	}
	l.refuse = nil
	if v, err := s.Record("a"); v != nil || err != nil {
		t.Errorf("read: %q, %v", v, err)
	}
	if err := s.PutRecord("a", []byte("2")); err != nil {
		t.Error(err)
	}
}

func TestStoreGoesOnAfterACommitFailedThatTheLogHas(t *testing.T) {
	s, _ := replicated(t)
	s.db.CommitTx = func(*bbolt.Tx) error { return errors.New("broken") }
	if err := s.PutRecord("a", []byte("1")); !errors.Is(err, ErrUncertain) {
		t.Errorf("write: %v, want %v", err, ErrUncertain)
	}
	if err := s.Err(); !errors.Is(err, ErrUncertain) {
		t.Errorf("the store ended with %v, want %v", err, ErrUncertain)
	}
}
