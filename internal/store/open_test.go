package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// openErr opens a store that must be refused.
func openErr(t *testing.T, path string, want error, words ...string) {
	t.Helper()
	before, _ := os.ReadFile(path)
	s, err := Open(path, Options{Timeout: 50 * time.Millisecond, InitialMmapSize: 1 << 20})
	if err == nil {
		s.Close()
		t.Fatalf("opened, want %v", want)
	}
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q doesn't say %q", err, word)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the refused file was changed")
	}
}

func TestOpenLocked(t *testing.T) {
	s := openTest(t)
	openErr(t, s.db.Path(), ErrLocked, "stop")
}

func TestOpenNewer(t *testing.T) {
	s := openTest(t)
	if err := s.update(func(t *tx) error {
		return t.Bucket(db.Meta).Put([]byte("version"), binary.BigEndian.AppendUint32(nil, 99))
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	openErr(t, s.db.Path(), ErrNewer, "99", "1")
}

// bytesOf returns a store's file up to bbolt's last page.
func bytesOf(t *testing.T, s *Store) []byte {
	t.Helper()
	size := fileSize(t, s)
	s.Close()
	data, err := os.ReadFile(s.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	return data[:size]
}

// TestDamagedFileIsNeverReplaced: no damaged file causes a panic or is replaced by an empty store.
func TestDamagedFileIsNeverReplaced(t *testing.T) {
	s := openTest(t)
	accept(t, s, draft{rows: 9000}, testGrid(600))
	data := bytesOf(t, s)
	random := bytes.Repeat([]byte("not a store. "), 5000)
	for name, damaged := range map[string][]byte{
		"empty":        {},
		"short":        data[:100],
		"one page":     data[:4096],
		"two pages":    data[:8192],
		"half":         data[:len(data)/2/4096*4096],
		"odd cut":      data[:20000],
		"random":       random,
		"zeros":        make([]byte, 1<<20),
		"text":         []byte("hello"),
		"metas broken": append(make([]byte, 8192), data[8192:]...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "damaged.db")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			openErr(t, path, ErrDamaged, "backup")
			openErr(t, path, ErrDamaged) // again: the first try left no lock
		})
	}
}

func TestOpenOtherBoltFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("mine")); return err }); err != nil {
		t.Fatal(err)
	}
	db.Close()
	openErr(t, path, ErrDamaged, "not a store of campaignd")
}

// TestDamagedPages overwrites pages: reading them fails with ErrDamaged or Verify finds
// them, and nothing panics.
func TestDamagedPages(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 9000}, testGrid(600))
	data := bytesOf(t, s)
	for page := 4; page < len(data)/4096; page += 3 {
		path := filepath.Join(t.TempDir(), "pages.db")
		bad := bytes.Clone(data)
		for i := range 4096 {
			bad[page*4096+i] ^= 0x5a
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{NoSync: true, InitialMmapSize: 1 << 20})
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("page %d: %v", page, err)
			}
			continue
		}
		_ = s.EachChunk(head.ID, func(*campaign.Rows, []campaign.MessageStatus, []campaign.Entry) error { return nil })
		_, _, _ = s.Due(time.Now())
		_ = s.Verify(false)
		s.Close()
	}
}

func TestOpenMissingFolder(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none", "x.db"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestCreateLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	if err := os.WriteFile(path+".new", []byte("a crash left this"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	if len(s.Tag()) != 8 {
		t.Errorf("tag %q", s.Tag())
	}
	if names, _ := os.ReadDir(dir); len(names) != 2 { // the store and its generation file
		t.Errorf("left behind: %v", names)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: contact data is for its owner alone", info.Mode())
	}
}

func TestClosed(t *testing.T) {
	s := openTest(t)
	s.Close()
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if _, err := s.Header("20260101-000001"); !errors.Is(err, db.ErrClosed) {
		t.Errorf("header: %v", err)
	}
	if err := s.Begin(&campaign.Sending{}, nil); !errors.Is(err, db.ErrClosed) {
		t.Errorf("begin: %v", err)
	}
}

// TestOpenVersion1 opens a store written by version 1.
func TestOpenVersion1(t *testing.T) {
	s := openSaved(t, "v1.db")
	verify(t, s)
	all, err := s.Sendings(Filter{})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d sendings, %v", len(all), err)
	}
	wantCounts(t, s, all[2].ID, map[campaign.Outcome]uint64{campaign.Sent: 6, campaign.Failed: 1, campaign.Skipped: 1, campaign.Retrying: 1,
		campaign.InFlight: 1, campaign.Pending: 10})
	rows := 0
	if err := s.EachChunk(all[2].ID, func(r *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
		rows += r.Len()
		switch {
		case string(r.Contacts.At(3)) != "34600000003":
			t.Errorf("r.Contacts.At(3) = %q, want \"34600000003\"", string(r.Contacts.At(3)))
		case len(entries) != 8:
			t.Errorf("len(entries) = %v, want 8: %+v", len(entries), entries)
		case entries[0].Provider != "wamid.0":
			t.Errorf("entries[0].Provider = %q, want \"wamid.0\"", entries[0].Provider)
		}
		return nil
	}); err != nil || rows != 10 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if out, err := s.OptedOut(1, "cloud_api", []byte("34600000009")); !out || err != nil {
		t.Errorf("suppressed: %t, %v", out, err)
	}
	if out, err := s.OptedOut(1, "cloud_api", []byte("+34 600 000 009")); !out || err != nil { // the normal form of version 2
		t.Errorf("suppressed in another spelling: %t, %v", out, err)
	}
	switch loaded, _, _, err := s.Load(all[2].ID); {
	case err != nil:
		t.Error(err)
	case loaded.Receipts:
		t.Error("loaded.Receipts = true, want false")
	case loaded.ReceiptVersion != 0:
		t.Errorf("loaded.ReceiptVersion = %v, want 0", loaded.ReceiptVersion)
	}
	refused := 0
	if err := s.EachRefusal(all[0].ID, func(r campaign.Refusal) error { refused++; return nil }); err != nil || refused != 2 {
		t.Errorf("%d refusals, %v", refused, err)
	}
	if got, err := recoverOwn(s, func(int64, string) bool { return true }); err != nil || got.Retried != 1 {
		t.Errorf("recover: %+v, %v", got, err)
	}
	verify(t, s)
}

// openSaved opens a copy of a store in testdata, which an earlier version wrote.
func openSaved(t *testing.T, name string) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return openAt(t, path)
}

// TestOpenVersion2 opens a store written by version 2, which didn't record whether an attempt
// may have been delivered. What had been attempted ends as unknown when it is canceled.
func TestOpenVersion2(t *testing.T) {
	s := openSaved(t, "v2.db")
	verify(t, s)
	all, err := s.Sendings(Filter{})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d sendings, %v", len(all), err)
	}
	id := all[2].ID
	retries, err := s.Retries(id, 0)
	switch {
	case err != nil:
		t.Error(err)
	case len(retries) != 2:
		t.Errorf("len(retries): got %v, want 2: %+v", len(retries), retries)
	case !retries[0].MaybeDelivered:
		t.Error("retries[0].MaybeDelivered: got false, want true")
	case retries[0].Detail != "timeout":
		t.Errorf(`retries[0].Detail: got %q, want "timeout"`, retries[0].Detail)
	}
	if got, err := recoverOwn(s, func(int64, string) bool { return true }); err != nil || got.Retried != 1 {
		t.Errorf("recover: %+v, %v", got, err)
	}
	ended, unknown, err := s.Finalize(id, campaign.Canceled)
	if ended != 7 || unknown != 4 || err != nil {
		t.Errorf("%d canceled, %d unknown, want 7 and 4, %v", ended, unknown, err)
	}
	wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Sent: 1, campaign.Unknown: 4, campaign.Canceled: 7})
	verify(t, s)
}
