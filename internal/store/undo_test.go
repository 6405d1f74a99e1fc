package store

import (
	"errors"
	"os"
	"testing"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
)

// TestUndoOnAFailingDisk: while the failed commit can't be undone, nothing is written and
// reads work; then everything continues as if the commit had never happened.
func TestUndoOnAFailingDisk(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	boom := errors.New("input/output error")
	away := s.path + ".away"
	s.commitTx = func(tx *bbolt.Tx) error {
		_ = tx.Commit()
		return errors.Join(boom, os.Rename(s.path, away)) // nobody can open it
	}
	one := []campaign.Entry{entry(head.ID, 0, 1, campaign.InFlight, 1)}
	if err := s.Commit(t.Context(), one); !errors.Is(err, boom) {
		t.Errorf("commit: %v", err)
	}
	s.commitTx = (*bbolt.Tx).Commit
	if err := s.Commit(t.Context(), one); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("commit without the file: %v", err)
	}
	if _, err := s.Header(head.ID); err != nil {
		t.Errorf("read meanwhile: %v", err)
	}
	if err := os.Rename(away, s.path); err != nil {
		t.Fatal(err)
	}
	commit(t, s, one...)
	wantCounts(t, s, head.ID, map[campaign.Outcome]uint64{campaign.Pending: 9, campaign.InFlight: 1})
	verify(t, s)
}

// TestUndoLeavesOthersAlone: a file without the transaction is left unchanged.
func TestUndoLeavesOthersAlone(t *testing.T) {
	s := openTest(t)
	accept(t, s, draft{rows: 10}, nil)
	path, size := s.path, s.pageSize
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, txid := range []uint64{1, 1 << 40} {
		if err := undo(path, txid, size); err != nil {
			t.Errorf("transaction %d: %v", txid, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed: %v", err)
	}
	if err := os.WriteFile(path, []byte("what is this"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := undo(path, 1, size); !errors.Is(err, ErrDamaged) {
		t.Errorf("another file: %v", err)
	}
}
