package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// snapshot copies the state folder as it is on the disk, and returns what puts the copy back at the next start.
func (r *rig) snapshot() (restore func()) {
	r.t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(r.config.StateDir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		path := filepath.Join(r.config.StateDir, e.Name())
		if files[path], err = os.ReadFile(path); err != nil {
			r.t.Fatal(err)
		}
	}
	return func() {
		r.t.Helper()
		if err := r.store.Close(); err != nil {
			r.t.Fatal(err)
		}
		for path, data := range files {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				r.t.Fatal(err)
			}
		}
		r.open()
		if err := r.in.Recover(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestFoldersAhead: a state folder that was brought back as a whole, while the inbox wasn't, is known by what the
// inbox's folders show (SPEC 12: a restored store starts with every sending held and says why).
func TestFoldersAhead(t *testing.T) {
	for name, c := range map[string]struct {
		since func(r *rig, s *campaign.Sending)
		says  string
	}{
		"more is sent by status.json": {says: "whose status.json says 1", since: func(r *rig, s *campaign.Sending) {
			for _, o := range []campaign.Outcome{campaign.InFlight, campaign.Sent} {
				e := campaign.Entry{Sending: s.ID, Row: 0, Message: 1, Outcome: o, Attempts: 1, At: r.clock}
				if err := r.store.Commit(r.t.Context(), []campaign.Entry{e}); err != nil {
					r.t.Fatal(err)
				}
			}
			r.in.Changed(s.ID)
			r.work()
		}},
		"its folder lies in done": {says: "whose folder lies in done/", since: func(r *rig, s *campaign.Sending) {
			r.sendAll(s.ID)
			r.in.Changed(s.ID)
			r.work()
		}},
		"a drop was taken in": {says: "a folder of sending number 2, it has come to 1", since: func(r *rig, _ *campaign.Sending) {
			r.drop("later", "phone,first\n34666111222,Other\n", goodLayout, goodSidecar)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			s := r.good("spring")
			restore := r.snapshot()
			c.since(r, s)
			r.crash()
			if head := r.header(s.ID); head.State == campaign.StateHeld {
				t.Fatalf("held without a cause: %s", head.Reason)
			}
			restore()
			if head := r.header(s.ID); head.State != campaign.StateHeld || !strings.Contains(head.Reason, "restored from an older copy") || !strings.Contains(head.Reason, c.says) {
				t.Errorf("%s: %q", head.State, head.Reason)
			}
			has(t, r.log.String(), c.says)
			if name == "a drop was taken in" {
				has(t, r.log.String(), "belong to no sending of this store")
				if again := r.drop("again", "phone,first\n34666111333,Third\n", goodLayout, goodSidecar); again.ID.Number() != 3 {
					t.Errorf("the next sending is %s", again.ID)
				}
			}
		})
	}
}

// TestFoldersInStep: a start like any other holds nothing, whatever lies about.
func TestFoldersInStep(t *testing.T) {
	r := newRig(t, "", "")
	s := r.good("spring")
	for _, name := range []string{"notes", "x.20260302-0000", "x.20260302-000001.d", ".hidden"} {
		if err := os.Mkdir(filepath.Join(r.inbox, "accepted", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.write(filepath.Join(r.inbox, "accepted", "file.20260302-000009"), "no folder")
	r.crash()
	if head := r.header(s.ID); head.State != campaign.StateScheduled {
		t.Errorf("%s: %s", head.State, head.Reason)
	}
	if strings.Contains(r.log.String(), "restored") {
		t.Error(r.log)
	}
}
