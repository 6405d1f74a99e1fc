package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
)

func TestBackupAndRestore(t *testing.T) {
	s := openTest(t)
	a := accept(t, s, draft{rows: 5000}, testGrid(600))
	b := accept(t, s, draft{rows: 10}, nil)
	paused := accept(t, s, draft{rows: 10}, nil)
	setState(t, s, paused.ID, campaign.StatePaused, "lunch")
	commit(t, s, entry(b.ID, 0, 1, campaign.InFlight, 1), entry(b.ID, 1, 1, campaign.InFlight, 1))
	commit(t, s, entry(b.ID, 0, 1, campaign.Sent, 1))
	var copied bytes.Buffer
	if err := s.Backup(&copied); err != nil {
		t.Fatal(err)
	}
	commit(t, s, entry(b.ID, 1, 1, campaign.Sent, 1)) // not in the backup
	wantState(t, s, a.ID, campaign.StateScheduled)

	path := filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := openAt(t, path)
	for _, id := range []campaign.ID{a.ID, b.ID} {
		if head := wantState(t, r, id, campaign.StateHeld); !strings.Contains(head.Reason, "restored from a backup") {
			t.Errorf("reason %q", head.Reason)
		}
	}
	if head := wantState(t, r, paused.ID, campaign.StatePaused); !strings.Contains(head.Reason, "lunch; the store was restored") {
		t.Errorf("reason %q", head.Reason)
	}
	if ids, _, _ := r.Due(time.Now().Add(time.Hour)); len(ids) > 0 {
		t.Errorf("due after a restore: %v", ids)
	}
	if r.Tag() == s.Tag() {
		t.Error("the restored store gives out keys that were given out before")
	}
	if head := wantState(t, r, b.ID, campaign.StateHeld); head.Tag != s.Tag() {
		t.Error("a message of before has another key now")
	}
	verify(t, r)
	if _, err := recoverOwn(r, func(int64, string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	setState(t, r, b.ID, campaign.StateScheduled, "")
	wantState(t, r, b.ID, campaign.StateSending)
	tag := r.Tag()
	r.Close()
	r = openAt(t, path)
	wantState(t, r, b.ID, campaign.StateSending)
	if r.Tag() != tag {
		t.Error("a store is restored once, not at every start")
	}
	if _, err := os.Stat(path + ".restored"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mark is left: %v", err)
	}
	verify(t, r)
}

// TestRestoreCutOff: bbolt's pages may overwrite the trailer before the sendings are held;
// the mark next to the file replaces it.
func TestRestoreCutOff(t *testing.T) {
	s := openTest(t)
	a := accept(t, s, draft{rows: 10}, nil)
	var copied bytes.Buffer
	if err := s.Backup(&copied); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := OpenFollower(path, Options{}); err != nil || f.Position() != (Position{}) { // leaves the mark
		t.Fatalf("it is not taken for a backup: %v, %v", f, err)
	}
	const trailer = 4096
	if err := os.Truncate(path, int64(copied.Len()-trailer)); err != nil { // as if overwritten
		t.Fatal(err)
	}
	r := openAt(t, path)
	wantState(t, r, a.ID, campaign.StateHeld)
}

func TestBackupToBrokenWriter(t *testing.T) {
	s := openTest(t)
	r, w := io.Pipe()
	r.Close()
	if err := s.Backup(w); err == nil || !strings.Contains(err.Error(), io.ErrClosedPipe.Error()) {
		t.Errorf("error %v", err)
	}
}

// TestCutBackup: an incomplete backup is refused.
func TestCutBackup(t *testing.T) {
	s := openTest(t)
	accept(t, s, draft{rows: 5000}, nil)
	var copied bytes.Buffer
	if err := s.Backup(&copied); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.db")
	if err := os.WriteFile(path, copied.Bytes()[:copied.Len()/2], 0o600); err != nil {
		t.Fatal(err)
	}
	openErr(t, path, ErrDamaged)
}

// TestFailedCommit: a commit that failed before its sync has no effect, and the store continues.
func TestFailedCommit(t *testing.T) {
	boom := &os.PathError{Op: "write", Path: "campaignd.db", Err: syscall.ENOSPC}
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	s.db.CommitTx = func(tx *bbolt.Tx) error { return errors.Join(boom, tx.Rollback()) }
	for range 3 { // repeatedly: a failed change must not block itself
		if err := s.Commit(t.Context(), []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("commit: got %v, want ENOSPC", err)
		}
		wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 10})
		verify(t, s)
	}
	s.db.CommitTx = (*bbolt.Tx).Commit
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1), entry(head.ID, 1, 1, campaign.InFlight, 1))
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 8, campaign.InFlight: 2})
	verify(t, s)
}

// TestFailedSyncEndsTheStore: after it nobody knows what is on the disk, so nothing more is read or
// written. The next start finds the attempt and recovers it, or finds that it never was.
func TestFailedSyncEndsTheStore(t *testing.T) {
	for name, written := range map[string]bool{"with its meta page": true, "before its meta page": false} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			head := accept(t, s, draft{rows: 10}, nil)
			s.db.CommitTx = func(tx *bbolt.Tx) error {
				if written {
					return errors.Join(syscall.EIO, tx.Commit())
				}
				return errors.Join(syscall.EIO, tx.Rollback())
			}
			one := []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}
			if err := s.Commit(t.Context(), one); !errors.Is(err, ErrUnsynced) || !errors.Is(err, syscall.EIO) {
				t.Errorf("commit: got %v, want ErrUnsynced for EIO", err)
			}
			s.db.CommitTx = (*bbolt.Tx).Commit
			select {
			case <-s.Ended():
			default:
				t.Error("the store goes on")
			}
			if err := s.Err(); !errors.Is(err, ErrUnsynced) {
				t.Errorf("Err: got %v, want ErrUnsynced", err)
			}
			if err := s.Commit(t.Context(), one); !errors.Is(err, ErrUnsynced) {
				t.Errorf("another commit: got %v, want ErrUnsynced", err)
			}
			if _, err := s.Header(head.ID); !errors.Is(err, ErrUnsynced) {
				t.Errorf("a read: got %v, want ErrUnsynced", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again := openAt(t, s.db.Path())
			found, err := recoverOwn(again, func(int64, string) bool { return true })
			if err != nil || found.Retried != map[bool]uint64{true: 1}[written] {
				t.Errorf("the next start recovers %+v, %v", found, err)
			}
			wantCounts(t, again, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 10})
			verify(t, again)
		})
	}
}

// TestPanicInCommit: a damaged page found during a commit doesn't leave the writer lock locked.
func TestPanicInCommit(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	s.db.CommitTx = func(*bbolt.Tx) error { panic("page 7 already freed") }
	if err := s.Commit(t.Context(), []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}); !errors.Is(err, ErrDamaged) {
		t.Errorf("commit: %v", err)
	}
	s.db.CommitTx = (*bbolt.Tx).Commit
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	verify(t, s)
}

// TestFileGoneAfterFailedCommit: the store reports it, and continues once the file is back.
func TestFileGoneAfterFailedCommit(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	other := filepath.Join(filepath.Dir(s.db.Path()), "away.db")
	s.db.CommitTx = func(tx *bbolt.Tx) error {
		_ = tx.Rollback()
		if err := os.Rename(s.db.Path(), other); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(s.db.Path(), []byte("what is this"), 0o600); err != nil {
			t.Error(err)
		}
		return errors.New("disk full")
	}
	e := []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}
	if err := s.Commit(t.Context(), e); !errors.Is(err, ErrDamaged) {
		t.Errorf("commit: %v", err)
	}
	s.db.CommitTx = (*bbolt.Tx).Commit
	if err := s.Commit(t.Context(), e); !errors.Is(err, ErrDamaged) {
		t.Errorf("commit: %v", err)
	}
	if err := os.Rename(other, s.db.Path()); err != nil {
		t.Fatal(err)
	}
	commit(t, s, e...)
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 9, campaign.InFlight: 1})
}
