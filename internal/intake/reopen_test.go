package intake

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// A completed sending's folder comes back for a resend, and the clerk leaves it there
// until the resend is in the store.
func TestReopen(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	e := campaign.Entry{Sending: s.ID, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: r.clock}
	other := campaign.Entry{Sending: s.ID, Row: 1, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: r.clock}
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Failed} {
		e.Outcome, other.Outcome = outcome, outcome
		if err := r.store.Commit(t.Context(), []campaign.Entry{e, other}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := r.store.Finish(s.ID); !done || err != nil {
		t.Fatal(done, err)
	}
	resend := func() {
		t.Helper()
		closing, err := r.in.Reopen(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		r.in.Changed(s.ID) // the dispatcher's last word comes late
		r.clerk()
		if got := r.names(acceptedFolder); len(got) != 1 {
			t.Errorf("accepted holds %v", got)
		}
		if n, err := r.store.Resend(s.ID, []campaign.Outcome{campaign.Failed}, false); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		closing()
		r.clerk()
		if doc := r.status(s); doc.State.Final() {
			t.Errorf("%+v", doc)
		}
	}
	resend() // before it was filed
	for _, outcome := range []campaign.Outcome{campaign.InFlight, campaign.Failed} {
		e.Outcome, other.Outcome = outcome, outcome
		if err := r.store.Commit(t.Context(), []campaign.Entry{e, other}); err != nil {
			t.Fatal(err)
		}
	}
	if done, err := r.store.Finish(s.ID); !done || err != nil {
		t.Fatal(done, err)
	}
	r.in.Changed(s.ID)
	r.clerk()
	has(t, r.report(r.header(s.ID)), "Done, but nothing was sent of 2 messages planned.")
	resend() // after it
	r.sendAll(s.ID)
	has(t, r.report(r.header(s.ID)), "Done: all 2 messages were sent.")

	// A reopening that came to nothing, and one that a crash cuts off, leave it filed.
	closing, err := r.in.Reopen(s.ID)
	if err != nil {
		t.Fatal(err)
	}
	closing()
	r.clerk()
	if diff := cmp.Diff([]string{s.FolderName()}, r.names(doneFolder)); diff != "" {
		t.Error(diff)
	}
	if _, err := r.in.Reopen(s.ID); err != nil {
		t.Fatal(err)
	}
	r.crash()
	r.work()
	if diff := cmp.Diff([]string{s.FolderName()}, r.names(doneFolder)); diff != "" {
		t.Error(diff)
	}
	if err := os.RemoveAll(finalFolder(r.header(s.ID))); err != nil { // tidied away
		t.Fatal(err)
	}
	if closing, err := r.in.Reopen(s.ID); err != nil {
		t.Error(err)
	} else {
		closing()
	}
	if _, err := r.in.Reopen("20260302-000099"); err == nil {
		t.Error("an unknown one is reopened")
	}
	canceled := r.drop("other", goodCSV+"1,x\n", goodLayout, goodSidecar)
	if closing, err := r.in.Reopen(canceled.ID); err != nil {
		t.Error("one that has not ended:", err)
	} else {
		closing()
	}
	r.balanced()
}

func (r *rig) header(id campaign.ID) *campaign.Sending {
	r.t.Helper()
	s, err := r.store.Header(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// A folder of the final name that isn't ours is never overwritten; the clerk goes on trying.
func TestFinalNameTaken(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	taken := filepath.Join(r.inbox, doneFolder, s.FolderName())
	if err := os.MkdirAll(filepath.Join(taken, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.sendAll(s.ID)
	if now := r.newest("spring"); now.Filed || len(r.names(acceptedFolder)) != 1 {
		t.Fatalf("%+v", now)
	}
	if err := os.RemoveAll(taken); err != nil {
		t.Fatal(err)
	}
	r.in.Changed(s.ID)
	r.clerk()
	if now := r.newest("spring"); !now.Filed {
		t.Errorf("%+v\n%s", now, r.log)
	}
}
