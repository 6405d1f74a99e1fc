package intake

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/store"
)

// A completed sending's folder returns for a resend and stays until the resend is stored.
func TestReopen(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	e := campaign.Entry{Sending: s.ID, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: h.clock}
	other := campaign.Entry{Sending: s.ID, Row: 1, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: h.clock}
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Failed} {
		e.Outcome, other.Outcome = outcome, outcome
		if err := h.store.Commit(t.Context(), []campaign.Entry{e, other}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := h.store.Finish(s.ID); !done || err != nil {
		t.Fatal(done, err)
	}
	resend := func() {
		t.Helper()
		closing, err := h.keeper.Reopen(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		h.keeper.Changed(s.ID) // the dispatcher's last word comes late
		h.updateFolders()
		if got := h.names(folders.Accepted); len(got) != 1 {
			t.Errorf("accepted holds %v", got)
		}
		if resent, err := h.store.Resend(s.ID, store.Resending{Outcomes: []campaign.Outcome{campaign.Failed}}); resent.Moved.Final() != 2 || err != nil {
			t.Fatal(resent, err)
		}
		closing()
		h.updateFolders()
		if doc := h.status(s); doc.State.Final() {
			t.Errorf("%+v", doc)
		}
	}
	resend() // before it was filed
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Failed} {
		e.Outcome, other.Outcome = outcome, outcome
		if err := h.store.Commit(t.Context(), []campaign.Entry{e, other}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := h.store.Finish(s.ID); !done || err != nil {
		t.Fatal(done, err)
	}
	h.keeper.Changed(s.ID)
	h.updateFolders()
	wantParts(t, h.report(h.header(s.ID)), "Done, but nothing was sent of 2 messages planned: 2 failed.")
	resend() // after it
	h.sendAll(s.ID)
	wantParts(t, h.report(h.header(s.ID)), "Done: both messages were sent.")

	// A reopening that came to nothing, and one that a crash cuts off, leave it filed.
	closing, err := h.keeper.Reopen(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	closing()
	h.updateFolders()
	if diff := cmp.Diff([]string{s.FolderName()}, h.names(folders.Done)); diff != "" {
		t.Error(diff)
	}
	if _, err := h.keeper.Reopen(s.ID); err != nil {
		t.Fatal(err)
	}
	h.crash()
	h.work()
	if diff := cmp.Diff([]string{s.FolderName()}, h.names(folders.Done)); diff != "" {
		t.Error(diff)
	}
	if err := os.RemoveAll(folders.Final(h.header(s.ID))); err != nil { // tidied away
		t.Fatal(err)
	}
	if closing, err := h.keeper.Reopen(s.ID); err != nil {
		t.Error(err)
	} else {
		closing()
	}
	if _, err := h.keeper.Reopen("20260302-000099"); err == nil {
		t.Error("an unknown one is reopened")
	}
	canceled := h.drop("other", goodCSV+"1,x\n", goodLayout, goodSidecar)
	if closing, err := h.keeper.Reopen(canceled.ID); err != nil {
		t.Error("one that has not ended:", err)
	} else {
		closing()
	}
	h.verifyStore()
}

func (h *harness) header(id campaign.ID) *campaign.Sending {
	h.t.Helper()
	s, err := h.store.Header(id)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// A foreign folder of the final name is never overwritten; filing is retried.
func TestFinalNameTaken(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	taken := filepath.Join(h.inbox, folders.Done, s.FolderName())
	if err := os.MkdirAll(filepath.Join(taken, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.sendAll(s.ID)
	switch now := h.newest("spring"); {
	case now.Filed:
		t.Fatal("now.Filed = true, want false")
	case len(h.names(folders.Accepted)) != 1:
		t.Fatalf("len(h.names(folders.Accepted)) = %v, want 1", len(h.names(folders.Accepted)))
	}
	if err := os.RemoveAll(taken); err != nil {
		t.Fatal(err)
	}
	h.keeper.Changed(s.ID)
	h.updateFolders()
	if now := h.newest("spring"); !now.Filed {
		t.Errorf("%+v\n%s", now, h.log)
	}
}
