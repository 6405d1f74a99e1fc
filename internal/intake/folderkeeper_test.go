package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/report"
)

// status reads a sending's status.json.
func (h *harness) status(s *campaign.Sending) *report.StatusDocument {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(folders.Of(s), report.StatusFile))
	if err != nil {
		h.t.Fatal(err)
	}
	doc := &report.StatusDocument{}
	if err := json.Unmarshal(text, doc); err != nil {
		h.t.Fatal(err)
	}
	return doc
}

// The status of a large drop shows the progress of its check.
func TestStatusWhileChecking(t *testing.T) {
	h := newHarness(t, "", "")
	var b strings.Builder
	b.WriteString("phone,first\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "34666%06d,Ada\n", i)
	}
	var seen []float64
	tick := h.clock
	h.in.now = func() time.Time { // every look at the clock is a second later, so that status.json is written each time
		tick = tick.Add(time.Second)
		if s := h.newest("spring"); s != nil && s.State == campaign.StateChecking {
			if _, err := os.Lstat(filepath.Join(folders.Of(s), report.StatusFile)); err == nil {
				doc := h.status(s)
				switch {
				case doc.State != campaign.StateChecking:
					t.Errorf("doc.State: got %v, want %v", doc.State, campaign.StateChecking)
				case doc.ID != s.ID:
					t.Errorf("doc.ID: got %v, want %v", doc.ID, s.ID)
				case doc.Messages != nil:
					t.Errorf("doc.Messages: got %+v, want none", doc.Messages)
				case doc.Slices != nil:
					t.Errorf("doc.Slices: got %+v, want none", doc.Slices)
				}
				seen = append(seen, doc.Percent)
			}
		}
		return tick
	}
	s := h.drop("spring", b.String(), goodLayout, goodSidecar)
	if s.State != campaign.StateScheduled {
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateScheduled, s)
	}
	if s.Rows.Accepted != 100_000 {
		t.Fatalf("s.Rows.Accepted = %v, want 100_000", s.Rows.Accepted)
	}
	between := 0
	for i, percent := range seen {
		if i > 0 && percent < seen[i-1] {
			t.Errorf("%v goes back", seen)
		}
		if percent > 0 && percent < 100 {
			between++
		}
	}
	if between < 3 {
		t.Errorf("percent was %v", seen)
	}
	if h.in.Checking(s.ID) != 0 {
		t.Error("it still counts as being checked")
	}
	doc := h.status(s)
	switch {
	case doc.State != campaign.StateScheduled:
		t.Errorf("doc.State: got %v, want %v", doc.State, campaign.StateScheduled)
	case doc.Recipients.Accepted != 100_000:
		t.Errorf("doc.Recipients.Accepted: got %v, want 100_000", doc.Recipients.Accepted)
	case doc.Slices == nil:
		t.Error("doc.Slices: got nil")
	case len(doc.Slices) != 0:
		t.Errorf("len(doc.Slices): got %v, want 0: %+v", len(doc.Slices), doc.Slices)
	}
}

// status.json of every open sending is up to date after a start.
func TestStatusAfterARestart(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	h.write(filepath.Join(folders.Of(s), report.StatusFile), `{"state": "checking"}`) // a crash came right after acceptance
	h.crash()
	h.work()
	if doc := h.status(s); doc.State != campaign.StateScheduled {
		t.Errorf("%+v", doc)
	}
	// A folder that someone took away is made again, the inbox itself never.
	if err := os.RemoveAll(folders.Of(s)); err != nil {
		t.Fatal(err)
	}
	h.keeper.Changed(s.ID)
	h.updateFolders()
	if doc := h.status(s); doc.State != campaign.StateScheduled {
		t.Errorf("%+v", doc)
	}
	if err := os.Rename(h.inbox, h.inbox+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.keeper.Changed(s.ID)
		h.updateFolders()
	}
	if _, err := os.Lstat(h.inbox); err == nil {
		t.Error("the inbox was made")
	}
	if said := h.log.lines("the inbox isn't there"); len(said) != 1 {
		t.Errorf("the missing inbox was logged %d times, want once", len(said))
	}
	if err := os.Rename(h.inbox+".away", h.inbox); err != nil {
		t.Fatal(err)
	}
	h.sendAll(s.ID)
	if now := h.newest("spring"); !now.Filed {
		t.Errorf("%+v\n%s", now, h.log)
	}
}

// status.json is replaced every 5s while a sending sends, and the reports are written when
// the folder keeper ends.
func TestClerkRuns(t *testing.T) {
	h := newHarness(t, "", "")
	s, large := h.good("spring"), h.goodRows("large", 50_000)
	for _, one := range []*campaign.Sending{s, large} {
		e := campaign.Entry{Sending: one.ID, Message: 1, Outcome: campaign.InFlight, Attempts: 1, At: time.Now()}
		if err := h.store.Commit(t.Context(), []campaign.Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	id := s.ID
	synctest.Test(t, func(t *testing.T) {
		keeper := filing.New(filing.Options{Store: h.store, Inboxes: h.in.inboxes, Config: func() *config.Config { return h.config },
			Filed: func(campaign.ID) {}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- keeper.Run(ctx) }()
		keeper.Changed(id)
		synctest.Wait()
		file := filepath.Join(folders.Of(s), report.StatusFile)
		for range 3 {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second) // virtual
			synctest.Wait()
		}
		if _, err := os.Lstat(file); err != nil {
			t.Error("status.json isn't renewed:", err)
		}
		for _, one := range []*campaign.Sending{s, large} {
			if _, _, err := h.store.Finalize(one.ID, campaign.Canceled); err != nil {
				t.Fatal(err)
			}
			e := campaign.Entry{Sending: one.ID, Message: 1, Outcome: campaign.Sent, Attempts: 1, At: time.Now()}
			if err := h.store.Commit(t.Context(), []campaign.Entry{e}); err != nil {
				t.Fatal(err)
			}
			if _, err := h.store.Finish(one.ID); err != nil {
				t.Fatal(err)
			}
			keeper.Changed(one.ID)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"spring", "large"} {
		switch s := h.newest(name); {
		case !s.Filed:
			t.Errorf("%s: s.Filed = false, want true", name)
		case s.State != campaign.StateCompleted:
			t.Errorf("%s: s.State = %q, want %q\n%+v", name, s.State, campaign.StateCompleted, s)
		}
	}
}

// goodRows drops a CSV of n rows.
func (h *harness) goodRows(name string, n int) *campaign.Sending {
	h.t.Helper()
	var b strings.Builder
	b.WriteString("phone,first\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,x\n", i)
	}
	s := h.drop(name, b.String(), goodLayout, goodSidecar)
	if s == nil || s.State != campaign.StateScheduled {
		h.t.Fatalf("got %+v, want State %q", s, campaign.StateScheduled)
	}
	return s
}

// Nothing is written for a sending that the store no longer has.
func TestRemovedSendingHasNoFolder(t *testing.T) {
	h := newHarness(t, "", "")
	h.keeper.Changed("20260302-000099")
	h.updateFolders()
	if strings.Contains(h.log.String(), "level=ERROR") {
		t.Error(h.log.String())
	}
}
