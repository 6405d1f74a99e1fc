package intake

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// snapshot copies the state folder and returns a function that restores the copy at the next start.
func (h *harness) snapshot() (restore func()) {
	h.t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(h.config.StateDir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(h.config.StateDir, e.Name())
		if files[path], err = os.ReadFile(path); err != nil {
			h.t.Fatal(err)
		}
	}
	return func() {
		h.t.Helper()
		if err := h.store.Close(); err != nil {
			h.t.Fatal(err)
		}
		for path, data := range files {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				h.t.Fatal(err)
			}
		}
		h.open()
		if err := h.in.Recover(); err != nil {
			h.t.Fatal(err)
		}
	}
}

// TestFoldersAhead: a state folder restored without its inboxes is recognized by the inboxes' folders
// (docs/contract.md 12: a restored store starts with every sending held and says why).
func TestFoldersAhead(t *testing.T) {
	for name, c := range map[string]struct {
		since func(h *harness, s *campaign.Sending)
		says  string
	}{
		"more is sent by status.json": {says: "status.json in the folder counts 1", since: func(h *harness, s *campaign.Sending) {
			for _, o := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
				e := campaign.Entry{Sending: s.ID, Row: 0, Message: 1, Outcome: o, Attempts: 1, At: h.clock}
				if err := h.store.Commit(h.t.Context(), []campaign.Entry{e}); err != nil {
					h.t.Fatal(err)
				}
			}
			h.keeper.Changed(s.ID)
			h.work()
		}},
		"its folder lies in done": {says: "whose folder is in done/", since: func(h *harness, s *campaign.Sending) {
			h.sendAll(s.ID)
			h.keeper.Changed(s.ID)
			h.work()
		}},
		"a drop was taken in": {says: "a folder of sending number 2, and its own highest number is 1", since: func(h *harness, _ *campaign.Sending) {
			h.drop("later", "phone,first\n34666111222,Other\n", goodLayout, goodSidecar)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			s := h.good("spring")
			restore := h.snapshot()
			c.since(h, s)
			h.crash()
			if head := h.header(s.ID); head.State == campaign.StateHeld {
				t.Fatalf("held without a cause: %s", head.Reason)
			}
			restore()
			switch head := h.header(s.ID); {
			case head.State != campaign.StateHeld:
				t.Errorf("%s: head.State = %q, want %q", head.State, head.State, campaign.StateHeld)
			case !strings.Contains(head.Reason, "restored from an older copy"):
				t.Errorf("%s: head.Reason = %q, want \"restored from an older copy\" in it", head.State, head.Reason)
			case !strings.Contains(head.Reason, c.says):
				t.Errorf("%s: head.Reason = %q, want %q in it", head.State, head.Reason, c.says)
			}
			wantParts(t, h.log.String(), c.says)
			if name == "a drop was taken in" {
				wantParts(t, h.log.String(), "belong to no sending of this store")
				if again := h.drop("again", "phone,first\n34666111333,Third\n", goodLayout, goodSidecar); again.ID.Number() != 3 {
					t.Errorf("the next sending is %s", again.ID)
				}
			}
		})
	}
}

// An older copy of the store is recognized by an inbox whose disk arrives after the start, before
// anything is taken from it, by what the store knew at the start.
func TestFoldersAheadInALateInbox(t *testing.T) {
	for _, behind := range []bool{true, false} {
		h := newHarness(t, "", "")
		s := h.good("spring")
		second := h.drop("second", "phone,first\n34666333444,Second\n", goodLayout, goodSidecar)
		restore := h.snapshot()
		if behind {
			h.sendAll(s.ID)
			h.keeper.Changed(s.ID)
			h.work()
		}
		away := h.inbox + ".away"
		if err := os.Rename(h.inbox, away); err != nil {
			t.Fatal(err)
		}
		restore()
		if head := h.header(s.ID); head.State != campaign.StateScheduled {
			t.Fatalf("%s while its inbox is away: %s", head.State, head.Reason)
		}
		h.sendAll(s.ID) // what was accepted is still sent
		if err := os.Rename(away, h.inbox); err != nil {
			t.Fatal(err)
		}
		other := h.drop("later", "phone,first\n34666111222,Other\n", goodLayout, goodSidecar)
		if got := slices.Contains(h.dispatcher.calls, "hold all"); got != behind {
			t.Errorf("behind %v: held all: %v", behind, got)
		}
		head := h.header(second.ID)
		if held := head.State == campaign.StateHeld; held != behind {
			t.Errorf("behind %v: another sending is %s, want held %v", behind, head.State, behind)
		}
		if want := "restored from an older copy: it calls " + string(s.ID); behind && !strings.Contains(head.Reason, want) {
			t.Errorf("got reason %q, want %q in it", head.Reason, want)
		}
		if other == nil {
			t.Errorf("behind %v: the next drop wasn't taken", behind)
		}
	}
}

// TestFoldersInStep: an ordinary start holds nothing, whatever else is in the folders.
func TestFoldersInStep(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	for _, name := range []string{"notes", "x.20260302-0000", "x.20260302-000001.d", ".hidden"} {
		if err := os.Mkdir(filepath.Join(h.inbox, "accepted", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.write(filepath.Join(h.inbox, "accepted", "file.20260302-000009"), "no folder")
	h.crash()
	if head := h.header(s.ID); head.State != campaign.StateScheduled {
		t.Errorf("%s: %s", head.State, head.Reason)
	}
	if strings.Contains(h.log.String(), "restored") {
		t.Error(h.log)
	}
}
