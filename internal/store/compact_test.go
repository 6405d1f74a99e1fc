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

	"campaignd/internal/store/db"
)

// content returns everything in a store, by bucket and key.
func content(t failer, s *Store) (all map[string]string) {
	t.Helper()
	if err := s.view(func(t *tx) error { all = contentIn(t.Tx.Tx); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// contentOf returns everything in a store's file that nobody has open.
func contentOf(t failer, path string) (all map[string]string) {
	t.Helper()
	file, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.View(func(t *bbolt.Tx) error { all = contentIn(t); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func contentIn(t *bbolt.Tx) map[string]string {
	all := map[string]string{}
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
	_ = t.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name), b) }) // walk never fails
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
	if _, err := os.Lstat(s.db.Path() + ".compact"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
}

func TestCompact(t *testing.T) {
	s := full(t)
	before := content(t, s)
	stats, err := s.Stats()
	switch {
	case err != nil:
		t.Fatalf("%+v, %v: %v", stats, err, err)
	case stats.FreeBytes*2 < stats.FileBytes:
		t.Fatalf("%+v, %v: stats.FreeBytes * 2 = %v, want at least %v", stats, err, stats.FreeBytes*2, stats.FileBytes)
	}
	done, err := s.Compact(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if done.Before != stats.FileBytes {
		t.Errorf("%d bytes before, want %d", done.Before, stats.FileBytes)
	}
	if done.After > done.Before/2 {
		t.Errorf("%d bytes after it, want at most half of %d", done.After, done.Before)
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
	again := openAt(t, s.db.Path())
	verify(t, again)
	if why := again.Restored(); why != "" {
		t.Errorf("it is taken for a copy: %s", why)
	}
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
	if _, err := s.Compact(context.Background()); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestCompactClosed(t *testing.T) {
	s := full(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Compact(context.Background()); !errors.Is(err, db.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	wantNoTemp(t, s)
	verify(t, openAt(t, s.db.Path()))
}

// TestCompactCutOff: the next start removes an unfinished copy.
func TestCompactCutOff(t *testing.T) {
	s := full(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.db.Path()+".compact", bytes.Repeat([]byte{7}, 9999), 0o600); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.db.Path())
	wantNoTemp(t, s)
}
