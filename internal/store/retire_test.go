package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// prune removes all sendings that finished before an instant, and returns how many.
func prune(s *Store, before time.Time) (int, error) {
	list, err := s.EndedBefore(before, "", 100)
	n := 0
	for _, one := range list {
		gone, removeErr := s.Remove(one.ID)
		if gone {
			n++
		}
		err = errors.Join(err, removeErr)
	}
	return n, err
}

// isOver makes a sending that was sent and filed.
func isOver(t *testing.T, s *Store, d draft) campaign.ID {
	t.Helper()
	head := accept(t, s, d, nil)
	sendAll(t, s, head.ID, d.rows, 1000)
	finish(t, s, head.ID)
	if err := s.Filed(head.ID, false); err != nil {
		t.Fatal(err)
	}
	return head.ID
}

// TestRemoveInParts: a large sending is removed in many transactions, and one accepted between
// an error and FinishRemovals isn't affected.
func TestRemoveInParts(t *testing.T) {
	s := openTest(t)
	first, second := isOver(t, s, draft{rows: 20}), isOver(t, s, draft{rows: 20})
	if err := s.update(func(t *tx) error {
		for i := range uint32(3 * removeKeys) {
			if err := t.Bucket(bucketRefusals).Put(key12(first.Number(), i), []byte{0}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	commits := 0
	s.db.CommitTx = func(tx *bbolt.Tx) error {
		if commits++; commits > 2 {
			return errors.Join(errors.New("the disk is full"), tx.Rollback())
		}
		return tx.Commit()
	}
	if gone, err := s.Remove(first); gone || err == nil {
		t.Fatalf("removed %t, %v", gone, err)
	}
	s.db.CommitTx = (*bbolt.Tx).Commit
	if _, err := s.Header(first); !errors.Is(err, ErrNotFound) {
		t.Errorf("header: %v", err)
	}
	verify(t, s)
	if gone, err := s.Remove(first); gone || err != nil {
		t.Errorf("again: %t, %v", gone, err)
	}
	before := s.db.Commits()
	if err := s.FinishRemovals(); err != nil {
		t.Fatal(err)
	}
	if n := s.db.Commits() - before; n < 2 {
		t.Errorf("the rest left in %d transactions", n)
	}
	verify(t, s)
	if err := s.view(func(tx *tx) error {
		for _, name := range append(bucketsOfSending(), bucketLeaving) {
			if k, _ := tx.Bucket(name).Cursor().Seek(db.Key8(first.Number())); k != nil && string(k[:8]) == string(db.Key8(first.Number())) {
				t.Errorf("bucket %s still has something of it", name)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	switch list, err := s.EndedBefore(time.Now().Add(time.Hour), first, 10); {
	case err != nil:
		t.Errorf("those after it: %v", err)
	case len(list) != 1:
		t.Errorf("those after it: len(list) = %v, want 1: %+v", len(list), list)
	case list[0].ID != second:
		t.Errorf("those after it: list[0].ID = %q, want %q", list[0].ID, second)
	}
	if err := s.FinishRemovals(); err != nil {
		t.Error(err)
	}
}

// TestRemoveReopened: a sending that is being sent again isn't removed.
func TestRemoveReopened(t *testing.T) {
	s := openTest(t)
	id := isOver(t, s, draft{rows: 5})
	if err := s.Update(id, func(head *campaign.Sending) error { head.Filed = false; return nil }); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Remove(id); gone || err != nil {
		t.Errorf("removed %t, %v", gone, err)
	}
	wantState(t, s, id, campaign.StateCompleted)
	verify(t, s)
}

// TestRemoveFreesSlotsToCome: removing a sending that finished before its slots, as after a
// clock was set back, releases them.
func TestRemoveFreesSlotsToCome(t *testing.T) {
	s := openTest(t)
	grid := testGrid(10)
	at := time.Now().UTC().Add(3 * time.Hour).Truncate(time.Minute)
	head := accept(t, s, draft{rows: 15, at: at}, grid)
	sendAll(t, s, head.ID, 15, 1000)
	finish(t, s, head.ID)
	if err := s.Filed(head.ID, false); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Remove(head.ID); !gone || err != nil {
		t.Fatal(gone, err)
	}
	switch got, err := s.Reserved(1, grid.Slot, grid.Number(at), 2); {
	case err != nil:
		t.Error(err)
	case got[0]+got[1] != 0:
		t.Errorf("got[0] + got[1] = %v, want 0", got[0]+got[1])
	}
	verify(t, s)
}

// TestRetentionGivesSpaceBack: removed data is gone, and its pages are reused.
func TestRetentionGivesSpaceBack(t *testing.T) {
	s := openTest(t)
	size := int64(0)
	for i := range 12 {
		head := accept(t, s, draft{rows: 3000, digest: fmt.Sprintf("%064x", i)}, nil)
		sendAll(t, s, head.ID, 3000, 1000)
		finish(t, s, head.ID)
		if n, err := prune(s, time.Now().Add(time.Hour)); n != 0 || err != nil {
			t.Errorf("pruned %d that are not filed, %v", n, err)
		}
		if err := s.Filed(head.ID, false); err != nil {
			t.Fatal(err)
		}
		if n, err := prune(s, time.Now().Add(-time.Hour)); n != 0 || err != nil {
			t.Errorf("pruned %d that are new, %v", n, err)
		}
		if n, err := prune(s, time.Now().Add(time.Hour)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		verify(t, s)
		if i == 5 {
			size = fileSize(t, s)
		}
	}
	if now := fileSize(t, s); now > size*5/4 {
		t.Errorf("the file grew from %d to %d bytes", size, now)
	}
	for _, name := range [][]byte{bucketSendings, bucketActive, []byte("slices"), bucketCounts, bucketChunks, bucketStatuses, bucketOutcomes,
		bucketInFlight, bucketTimeline, bucketDigests} {
		if err := s.view(func(tx *tx) error {
			if k, _ := tx.Bucket(name).Cursor().First(); k != nil {
				t.Errorf("bucket %s is not empty", name)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}
