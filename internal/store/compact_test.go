package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// content returns everything in a store, by bucket and key.
func content(t *testing.T, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := s.view(func(tx *tx) error {
		var walk func(path string, b *bbolt.Bucket) error
		walk = func(path string, b *bbolt.Bucket) error {
			all[path] = fmt.Sprint(b.Sequence())
			return b.ForEach(func(k, v []byte) error {
				if inner := b.Bucket(k); inner != nil {
					return walk(path+"/"+string(k), inner)
				}
				all[fmt.Sprintf("%s: %x", path, k)] = fmt.Sprintf("%x", v)
				return nil
			})
		}
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name), b) })
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// full makes a store of which more than half is free.
func full(t *testing.T) *Store {
	s := openTest(t)
	isOver(t, s, draft{rows: 6000, messages: 1})
	isOver(t, s, draft{rows: 6000})
	if n, err := prune(s, time.Now().Add(time.Hour)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	isOver(t, s, draft{rows: 10})
	accept(t, s, draft{rows: 900, at: time.Now().Add(time.Hour)}, testGrid(100))
	if _, _, err := s.Contacts("daily", 9).Allow([]byte("34666777888"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: "1"}, {ApplicationID: 1, ContactCode: "2"}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func wantNoTemp(t *testing.T, s *Store) {
	t.Helper()
	if _, err := os.Lstat(compactName(s.path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
	if s.changes != nil {
		t.Error("writes are still being noted")
	}
}

func TestCompact(t *testing.T) {
	s := full(t)
	before := content(t, s)
	stats, err := s.Stats()
	if err != nil || stats.FreeBytes*2 < stats.FileBytes {
		t.Fatalf("%+v, %v: not half of it is free", stats, err)
	}
	done, err := s.Compact(context.Background())
	if err != nil || done.Before != stats.FileBytes || done.After > done.Before/2 || done.Took < done.Paused || done.Paused <= 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Error(diff)
	}
	if after, err := s.Stats(); err != nil || after.FileBytes != done.After {
		t.Errorf("%+v, %v", after, err)
	}
	verify(t, s)
	wantNoTemp(t, s)
	isOver(t, s, draft{rows: 10}) // it is writable
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, s.path)
	verify(t, again)
	if why := again.Restored(); why != "" {
		t.Errorf("it is taken for a copy: %s", why)
	}
}

// TestCompactMeanwhile writes, adds and removes between all steps of a compaction, at first
// so much that it takes rounds. Every write is done at once, and none is lost.
func TestCompactMeanwhile(t *testing.T) {
	s := full(t)
	steps := 0
	s.betweenSteps = func() {
		steps++
		var list []OptOut
		for i := range max(0, 2*compactLast-steps*40) {
			list = append(list, OptOut{ApplicationID: 1, ContactCode: fmt.Sprint(steps, "-", i)})
		}
		if _, err := s.AddOptOuts(list); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RemoveOptOut(1, "", fmt.Sprint(steps-1, "-0")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Contacts("another", 9).Allow(fmt.Append(nil, 34666000000+steps), time.Now()); err != nil {
			t.Fatal(err)
		}
		if steps%5 == 0 {
			isOver(t, s, draft{rows: 30})
		}
		if _, err := prune(s, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	var last map[string]string
	step := s.betweenSteps
	s.betweenSteps = func() { step(); last = content(t, s) }
	if _, err := s.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.betweenSteps = nil
	if diff := cmp.Diff(last, content(t, s)); diff != "" {
		t.Error(diff)
	}
	verify(t, s)
	wantNoTemp(t, s)
}

func TestCompactBusy(t *testing.T) {
	s := full(t)
	r, w := io.Pipe()
	backup := make(chan error, 1)
	go func() { backup <- errors.Join(s.Backup(w), w.Close()) }()
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compact(context.Background()); !errors.Is(err, ErrBusy) {
		t.Errorf("during a backup: %v", err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if err := <-backup; err != nil {
		t.Fatal(err)
	}
	s.betweenSteps = func() {
		if _, err := s.Compact(context.Background()); !errors.Is(err, ErrBusy) {
			t.Errorf("during another: %v", err)
		}
	}
	if _, err := s.Compact(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestCompactFails: after a failed compaction the store continues unchanged.
func TestCompactFails(t *testing.T) {
	for name, fault := range map[string]func(t *testing.T, s *Store, end context.CancelFunc){
		"it is stopped": func(_ *testing.T, _ *Store, end context.CancelFunc) { end() },
		"a commit fails": func(_ *testing.T, s *Store, _ context.CancelFunc) {
			s.writer.Lock()
			s.broken = true // as revert leaves it if the file can't be reopened
			s.writer.Unlock()
		},
		"the copy can't be renamed": func(t *testing.T, s *Store, _ context.CancelFunc) {
			s.writer.Lock()
			defer s.writer.Unlock()
			if err := os.Remove(compactName(s.path)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := full(t)
			ctx, end := context.WithCancel(context.Background())
			defer end()
			s.betweenSteps = func() { fault(t, s, end) }
			before := content(t, s)
			if _, err := s.Compact(ctx); err == nil {
				t.Error("it did not fail")
			}
			s.betweenSteps = nil
			if diff := cmp.Diff(before, content(t, s)); diff != "" {
				t.Error(diff)
			}
			wantNoTemp(t, s)
			isOver(t, s, draft{rows: 10})
			verify(t, s)
		})
	}
}

func TestCompactClosed(t *testing.T) {
	s := full(t)
	s.betweenSteps = func() { s.Close() }
	if _, err := s.Compact(context.Background()); !errors.Is(err, errClosed) {
		t.Errorf("closed meanwhile: %v", err)
	}
	wantNoTemp(t, s)
	verify(t, openAt(t, s.path))
}

// TestCompactCutOff: the next start removes an unfinished copy.
func TestCompactCutOff(t *testing.T) {
	s := full(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(compactName(s.path), bytes.Repeat([]byte{7}, 9999), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.path)
	wantNoTemp(t, s)
}
