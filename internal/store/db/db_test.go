package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var rows = []byte("rows")

func openTest(t *testing.T) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "test.db"))
}

func openAt(t *testing.T, path string) *DB {
	t.Helper()
	d, err := open(path)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func open(path string) (*DB, error) {
	return Open(path, Options{NoSync: true, InitialMmapSize: 64 << 20}, Schema{Numbered: rows, Migrations: []func(*bbolt.Tx) error{
		func(t *bbolt.Tx) error { _, err := t.CreateBucket(rows); return err }}})
}

func rowKey(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// fill puts n rows of 1,000 bytes.
func fill(t *testing.T, d *DB, n int) {
	t.Helper()
	if err := d.Update(func(t *Tx) error {
		for i := range n {
			if err := t.Ascending(rows).Put(rowKey(i), bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// full makes a file of which more than half is free.
func full(t *testing.T) *DB {
	t.Helper()
	d := openTest(t)
	fill(t, d, 9000)
	if err := d.Update(func(t *Tx) error {
		for i := 100; i < 9000; i++ {
			if err := t.Bucket(rows).Delete(rowKey(i)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return d
}

func put(d *DB, value string) error {
	return d.Update(func(t *Tx) error { return t.Bucket(rows).Put(rowKey(7), []byte(value)) })
}

// content returns everything in the file but the number of commits: every key, value and sequence.
func content(t *testing.T, d *DB) (all string) {
	t.Helper()
	if err := d.View(func(t *Tx) error {
		return t.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if !bytes.Equal(name, Meta) {
				all += fmt.Sprintf("%s: %d\n", name, b.Sequence())
			}
			return b.ForEach(func(k, v []byte) error { all += fmt.Sprintf("%x: %x\n", k, v); return nil })
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkFile has bbolt check the pages.
func checkFile(t *testing.T, d *DB) {
	t.Helper()
	if err := d.View(func(tx *Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestUnreadableGenerationFile: an unreadable file says nothing and is replaced.
func TestUnreadableGenerationFile(t *testing.T) {
	d := openTest(t)
	fill(t, d, 10)
	d.Close()
	for _, content := range []string{"", "what is this", strings.Repeat("x", generationBytes), strings.Repeat("x", 9999)} {
		if err := os.WriteFile(generationName(d.path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		d = openAt(t, d.path)
		if why := d.Restored(); why != "" {
			t.Errorf("with %.20q: restored %s", content, why)
		}
		now := generation{}
		if err := d.View(func(tx *Tx) error { now = tx.generation(); return nil }); err != nil {
			t.Fatal(err)
		}
		d.Close()
		if got, err := readGeneration(d.path); got != now || err != nil {
			t.Errorf("%+v, want %+v, %v", got, now, err)
		}
	}
}

// TestFailedCommitIsReopened: nothing of a commit that failed remains, and the next one continues.
func TestFailedCommitIsReopened(t *testing.T) {
	d := openTest(t)
	reopened := 0
	d.Reopened = func() { reopened++ }
	fill(t, d, 10)
	before := content(t, d)
	boom := &os.PathError{Op: "write", Err: errors.New("no space")}
	d.CommitTx = func(tx *bbolt.Tx) error { return errors.Join(boom, tx.Rollback()) }
	if err := put(d, "lost"); !errors.Is(err, boom) {
		t.Errorf("commit: got %v, want %v", err, boom)
	}
	if reopened != 1 {
		t.Errorf("reopened: got %d, want 1", reopened)
	}
	if got := content(t, d); got != before {
		t.Errorf("after it: got %s, want %s", got, before)
	}
	d.CommitTx = (*bbolt.Tx).Commit
	if err := put(d, "kept"); err != nil {
		t.Error(err)
	}
	checkFile(t, d)
}

func FuzzTrailer(f *testing.F) {
	f.Add(trailer{size: 4096}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if b := decodeTrailer(data); b != nil && !bytes.Equal(b.encode(), data) {
			t.Errorf("%+v is encoded differently", b)
		}
	})
}
