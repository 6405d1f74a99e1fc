package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

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

// endsOnceItIsAsked is a context that ends right after it was asked whether it has.
type endsOnceItIsAsked struct {
	context.Context
	end context.CancelFunc
}

func (c endsOnceItIsAsked) Err() error {
	defer c.end()
	return c.Context.Err()
}

// A takeover ends a compaction of the copy instead of waiting for it.
func TestTakeoverWaitsForACompactionOfTheCopy(t *testing.T) {
	s, l := replicated(t)
	path := filepath.Join(t.TempDir(), "copy.db")
	f := openFollower(t, path)
	defer f.Close()
	mustInstall(t, f, s)
	for _, value := range [][]byte{bytes.Repeat([]byte{1}, 8<<20), nil} {
		if err := s.PutRecord("a", value); err != nil {
			t.Fatal(err)
		}
		if err := f.Apply(l.take()...); err != nil {
			t.Fatal(err)
		}
	}
	f.MaxFree = 1 << 20
	before := f.Position()
	ctx, end := context.WithCancel(t.Context())
	if err := f.Compact(endsOnceItIsAsked{ctx, end}); !errors.Is(err, context.Canceled) {
		t.Errorf("a compaction that was ended: got %v, want %v", err, context.Canceled)
	}
	if at := f.Position(); at != before {
		t.Errorf("the copy is at %s, want %s", at, before)
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
