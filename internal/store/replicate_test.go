package store

import (
	"bytes"
	"context"
	"encoding/binary"
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

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
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

func TestFollowerTakesSetsThatDontFollow(t *testing.T) {
	s, l := replicated(t)
	f := openFollower(t, filepath.Join(t.TempDir(), "copy.db"))
	defer f.Close()
	if err := f.Apply(l.sets...); !errors.Is(err, ErrGap) {
		t.Errorf("without a base: %v, want %v", err, ErrGap)
	}
	mustInstall(t, f, s)
	l.take()
	for i := range 3 {
		if err := s.PutRecord("a", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	sets := l.take()
	if err := f.Apply(sets[1]); !errors.Is(err, ErrGap) {
		t.Errorf("a set is missing: %v, want %v", err, ErrGap)
	}
	if err := f.Apply(sets[0], sets[0], sets[1]); err != nil {
		t.Errorf("a set came twice: %v", err)
	}
	if err := f.Apply(sets[0]); err != nil {
		t.Errorf("an old set: %v", err)
	}
	if err := f.Apply([]byte("garbage")); !errors.Is(err, ErrSetVersion) {
		t.Errorf("garbage: %v, want %v", err, ErrSetVersion)
	}
	if err := f.Apply(sets[2][:len(sets[2])-1]); err == nil {
		t.Error("a truncated set was applied")
	}
	if err := f.Apply(sets[2]); err != nil {
		t.Error(err)
	}
	if want, _ := s.Position(); f.Position() != want {
		t.Errorf("at %s, want %s", f.Position(), want)
	}
}

func TestDamagedBaseIsInstalled(t *testing.T) {
	s, l := replicated(t)
	f := openFollower(t, filepath.Join(t.TempDir(), "copy.db"))
	defer f.Close()
	mustInstall(t, f, s)
	short := snapshot(t, s)
	short.size++
	if err := install(t, f, short); !errors.Is(err, ErrDamaged) {
		t.Errorf("a chunk is missing: %v, want %v", err, ErrDamaged)
	}
	garbage := snapshot(t, s)
	garbage.chunks[0] = []byte("garbage")
	if err := install(t, f, garbage); !errors.Is(err, ErrDamaged) {
		t.Errorf("garbage: %v, want %v", err, ErrDamaged)
	}
	if err := s.PutRecord("a", nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(l.sets...); err != nil {
		t.Errorf("the copy before it: %v", err)
	}
}

// TestOlderStandbyTakesANewerStore: the hub was upgraded first. The copy from before remains.
func TestOlderStandbyTakesANewerStore(t *testing.T) {
	s, l := replicated(t)
	path := filepath.Join(t.TempDir(), "copy.db")
	f := openFollower(t, path)
	mustInstall(t, f, s)
	older := snapshot(t, s)
	if err := f.Apply(l.take()...); err != nil {
		t.Fatal(err)
	}
	if err := s.update(func(t *tx) error {
		return t.Bucket(db.Meta).Put([]byte("version"), binary.BigEndian.AppendUint32(nil, uint32(len(schema().Migrations)+1)))
	}); err != nil {
		t.Fatal(err)
	}
	if err := install(t, f, snapshot(t, s)); !errors.Is(err, ErrNewer) {
		t.Errorf("install: %v, want %v", err, ErrNewer)
	}
	if f.Position() != older.at {
		t.Errorf("at %s, want %s", f.Position(), older.at)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if names, err := filepath.Glob(path + ".base"); len(names) > 0 || err != nil {
		t.Errorf("left over: %q, %v", names, err)
	}
}

func TestFollowerOpensAnotherProcessesStore(t *testing.T) {
	s, _ := replicated(t)
	if _, err := OpenFollower(s.db.Path(), Options{Timeout: time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("open: %v, want %v", err, ErrLocked)
	}
}

func TestCopyKeepsItsFreeSpace(t *testing.T) {
	s, l := replicated(t)
	path := filepath.Join(t.TempDir(), "copy.db")
	f := openFollower(t, path)
	defer f.Close()
	mustInstall(t, f, s)
	for _, value := range [][]byte{bytes.Repeat([]byte{1}, 8<<20), nil} {
		for i := range 2 {
			if err := s.PutRecord(fmt.Sprint(i), value); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Apply(l.take()...); err != nil {
			t.Fatal(err)
		}
	}
	before := f.Size()
	f.MaxFree = 1 << 20
	if err := f.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.Size() > before/4 {
		t.Errorf("%d of %d bytes remain", f.Size(), before)
	}
	if err := s.PutRecord("a", []byte("b")); err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(l.take()...); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content(t, s), contentOf(t, path)); diff != "" {
		t.Error(diff)
	}
}

func TestCopyOfADeposedHubSeemsRestored(t *testing.T) {
	s, _ := replicated(t)
	head := begin(t, s, draft{rows: 1, messages: 1, channels: []string{"a"}, at: time.Now()})
	if _, err := s.Accept(head, Terms{}); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, s)
	for i := range 3 { // nobody else has these
		if err := s.PutRecord("a", []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := openFollower(t, s.db.Path())
	if err := install(t, f, before); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(s.db.Path(), Options{InitialMmapSize: 1 << 20, Checked: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if why := again.Restored(); why != "" {
		t.Errorf("restored %q, want an ordinary store", why)
	}
	if h, err := again.Header(head.ID); err != nil || h.State != campaign.StateScheduled {
		t.Errorf("the sending is %+v, %v", h, err)
	}
}
