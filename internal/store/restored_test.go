package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// copyFile copies a file like an operator's cp.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOlderCopyIsHeld: the generation file identifies a store that was copied while closed, or
// by a snapshot of the disk, and put back later. The store that ran here last is never held.
func TestOlderCopyIsHeld(t *testing.T) {
	for name, closed := range map[string]bool{"copied while closed": true, "snapshot": false} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			sending := accept(t, s, draft{rows: 10}, nil)
			checked := begin(t, s, draft{rows: 5})
			commit(t, s, entry(sending.ID, 0, 1, campaign.InFlight, 1), entry(sending.ID, 1, 1, campaign.InFlight, 1))
			commit(t, s, entry(sending.ID, 0, 1, campaign.Sent, 1))
			copied := filepath.Join(t.TempDir(), "copy.db")
			if closed {
				s.Close()
			}
			copyFile(t, s.db.Path(), copied)
			if closed {
				s = openAt(t, s.db.Path())
			}
			commit(t, s, entry(sending.ID, 1, 1, campaign.Sent, 1)) // not in the copy
			after := begin(t, s, draft{rows: 5})                    // nor is this
			tag := s.Tag()
			s.Close()

			again := openAt(t, s.db.Path())
			if again.Restored() != "" {
				t.Errorf("its own last run is called restored %s", again.Restored())
			}
			wantState(t, again, sending.ID, campaign.StateSending)
			again.Close()

			copyFile(t, copied, s.db.Path())
			r := openAt(t, s.db.Path())
			if !strings.Contains(r.Restored(), "older copy, which lacks the last") {
				t.Errorf("restored %q", r.Restored())
			}
			switch head := wantState(t, r, sending.ID, campaign.StateHeld); {
			case !strings.Contains(head.Reason, "restored from an older copy"):
				t.Errorf("head.Reason = %q, want \"restored from an older copy\" in it", head.Reason)
			case head.Tag != tag:
				t.Errorf("head.Tag = %q, want %q", head.Tag, tag)
			}
			if r.Tag() == tag {
				t.Error("it gives out keys that were given out before")
			}
			wantState(t, r, checked.ID, campaign.StateChecking)
			if _, err := r.Accept(checked, Terms{}); err != nil {
				t.Fatal(err)
			}
			if head := wantState(t, r, checked.ID, campaign.StateHeld); !strings.Contains(head.Reason, "restored") {
				t.Errorf("reason %q", head.Reason)
			}
			if fresh := begin(t, r, draft{rows: 5}); fresh.ID.Number() <= after.ID.Number() {
				t.Errorf("%s is given out after %s", fresh.ID, after.ID)
			}
			verify(t, r)
			r.Close()

			r = openAt(t, s.db.Path())
			if r.Restored() != "" {
				t.Error("it is restored at every start")
			}
		})
	}
}

// TestMarkedByHand: where nothing else identifies a restored store, a person can mark it.
func TestMarkedByHand(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	s.Close()
	if err := os.WriteFile(s.db.Path()+".restored", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := openAt(t, s.db.Path())
	wantState(t, r, head.ID, campaign.StateHeld)
	if r.Restored() == "" {
		t.Error("Restored says nothing")
	}
	r.Close()
	if openAt(t, s.db.Path()).Restored() != "" {
		t.Error("the mark stayed")
	}
}

// The folders show a restore that the store's file has shown already: a held sending had both reasons, one
// of which called it held before the restore, and a paused one had two.
func TestASecondSignOfARestoreKeepsTheReason(t *testing.T) {
	s := openTest(t)
	sending := accept(t, s, draft{rows: 10}, nil)
	paused := accept(t, s, draft{rows: 10}, nil)
	setState(t, s, paused.ID, campaign.StatePaused, "paused on request")
	s.Close()
	if err := os.WriteFile(s.db.Path()+".restored", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := openAt(t, s.db.Path())
	first := wantState(t, r, sending.ID, campaign.StateHeld).Reason
	held, err := r.Hold("from an older copy: a folder is ahead", 9)
	if err != nil {
		t.Fatal(err)
	}
	if held != 0 {
		t.Errorf("held %d sendings again", held)
	}
	if got := wantState(t, r, sending.ID, campaign.StateHeld).Reason; got != first {
		t.Errorf("reason is %q, want %q", got, first)
	}
	if got := wantState(t, r, paused.ID, campaign.StatePaused).Reason; strings.Count(got, "restored") != 1 {
		t.Errorf("reason is %q, want one restore in it", got)
	}
	if got := begin(t, r, draft{rows: 5}).ID.Number(); got != 10 {
		t.Errorf("the next number is %d, want 10", got)
	}
}

// TestNewStoreNeverReusesNumbers: a store created after another was lost continues its numbers.
func TestNewStoreNeverReusesNumbers(t *testing.T) {
	s := openTest(t)
	var last *campaign.Sending
	for range 3 {
		last = begin(t, s, draft{rows: 1})
	}
	s.Close()
	if err := os.Remove(s.db.Path()); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.db.Path())
	if s.Restored() != "" {
		t.Errorf("restored %s", s.Restored())
	}
	if head := begin(t, s, draft{rows: 1}); head.ID.Number() != last.ID.Number()+1 {
		t.Errorf("%s after %s", head.ID, last.ID)
	}
	s.Close()
	if openAt(t, s.db.Path()).Restored() != "" {
		t.Error("restored at its second start")
	}
}

// TestUnreadableGenerationFileHoldsNothing: sendings go on, although nothing says that the store is the newest.
func TestUnreadableGenerationFileHoldsNothing(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 10}, nil)
	for _, content := range []string{"", "what is this", strings.Repeat("x", 9999)} {
		s.Close()
		if err := os.WriteFile(s.db.Path()+".latest", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, s.db.Path())
		wantState(t, s, head.ID, campaign.StateScheduled)
		if why := s.Restored(); why != "" {
			t.Errorf("with %.20q: restored %s", content, why)
		}
	}
}

// A hub's store is opened again after another hub may have gone on: only who has compared it with the
// log may send with it. Once it was held it is an ordinary store.
func TestAStoreOfAClusterIsHeldUnlessItIsChecked(t *testing.T) {
	s := openTest(t)
	sending := accept(t, s, draft{rows: 10}, nil)
	if err := s.Replicate(&memoryLog{}, 3); err != nil {
		t.Fatal(err)
	}
	s.Close()
	checked, err := Open(s.db.Path(), Options{Checked: true})
	if err != nil {
		t.Fatal(err)
	}
	if why := checked.Restored(); why != "" {
		t.Errorf("the checked store counts as restored %s", why)
	}
	checked.Close()

	held := openAt(t, s.db.Path())
	if why := held.Restored(); !strings.Contains(why, "no log in NATS confirms") {
		t.Errorf("restored %q", why)
	}
	wantState(t, held, sending.ID, campaign.StateHeld)
	if p, err := held.Position(); err != nil || p.Epoch != 0 {
		t.Errorf("the position is %v (%v), want no epoch", p, err)
	}
	held.Close()
	if why := openAt(t, s.db.Path()).Restored(); why != "" {
		t.Errorf("it is held again: restored %s", why)
	}
}
