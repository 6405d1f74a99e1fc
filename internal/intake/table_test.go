package intake

import (
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/watch"
)

// Nothing is kept about drops that have left the inbox, however they waited and ended.
func TestTableForgetsWhatIsOver(t *testing.T) {
	table := newDropTable()
	s := &campaign.Sending{ID: "20260302-000001", Inbox: "/inbox/", Name: "caf\u00e9", Files: []campaign.FileID{{Name: "caf\u00e9.csv", Size: 7}}}
	decomposed := nameOf("/inbox", "cafe\u0301")
	table.setWait(wait{inbox: s.Inbox, name: s.Name, reason: "full"})
	table.deferControl(watch.Control{Inbox: "/inbox", Name: "cafe\u0301"})
	table.begin(s)
	table.expectDecision(s.ID)
	table.endWait(decomposed)
	table.retryLater(s.ID)
	if again := table.takeRetries(); len(again) != 1 {
		t.Errorf("got %d claims to retry, want 1", len(again))
	}
	if !table.claimed("/inbox", "cafe\u0301") {
		t.Error("the drop isn't claimed under its name in another spelling")
	}
	if got := table.inboxes["/inbox"]; got != (load{drops: 1, bytes: 7}) {
		t.Errorf("got the load %+v, want 1 drop of 7 bytes", got)
	}
	if kept := table.takeControls(decomposed); len(kept) != 1 {
		t.Errorf("got %d control files, want 1", len(kept))
	}
	table.remove(s.ID)
	table.await(t.Context(), s.ID) // returns: it is decided
	if len(table.names)+len(table.ids)+len(table.inboxes) > 0 {
		t.Errorf("got %d names, %d ids and %d inboxes after the end, want none", len(table.names), len(table.ids), len(table.inboxes))
	}
}

// A drop that waits on for another reason keeps the beginning of its wait; a changed file begins its quiet time again.
func TestWaitKeepsItsBeginning(t *testing.T) {
	table := newDropTable()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	files := func(size int64) []campaign.FileID { return []campaign.FileID{{Name: "a.csv", Size: size}} }
	for _, c := range []struct {
		after        time.Duration
		reason       string
		size         int64
		news         bool
		since, quiet time.Duration
	}{
		{0, "full", 1, true, 0, 0},
		{time.Minute, "full", 1, false, 0, 0},
		{2 * time.Minute, "too little room", 1, true, 0, 0},
		{3 * time.Minute, "too little room", 2, false, 0, 3 * time.Minute},
	} {
		now := at.Add(c.after)
		if news := table.setWait(wait{inbox: "/inbox", name: "a", files: files(c.size), reason: c.reason, since: now, quiet: now}); news != c.news {
			t.Errorf("after %s: got news %v, want %v", c.after, news, c.news)
		}
		w, _ := table.waiting(nameOf("/inbox", "a"))
		if w.since != at.Add(c.since) {
			t.Errorf("after %s: it waits since %s, want %s", c.after, w.since, at.Add(c.since))
		}
		if w.quiet != at.Add(c.quiet) {
			t.Errorf("after %s: it is quiet since %s, want %s", c.after, w.quiet, at.Add(c.quiet))
		}
	}
}
