package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/folders"
	"campaignd/internal/report"
)

// cutOffAt lists the states in which a crash can leave a drop, from the first record to
// the last. Each does the steps up to there like the Intake.
func cutOffAt() []struct {
	name string
	do   func(*testing.T, *harness)
} {
	begin := func(t *testing.T, h *harness) *campaign.Sending {
		t.Helper()
		if err := h.in.inboxes.Ensure(h.inbox); err != nil {
			t.Fatal(err)
		}
		d := h.watchedDrop("spring")
		s := &campaign.Sending{Name: d.Name, Inbox: d.Inbox, ReceivedAt: h.clock, Files: fileIDs(d)}
		if err := h.store.Begin(s, nil); err != nil {
			t.Fatal(err)
		}
		return s
	}
	made := func(t *testing.T, h *harness) *campaign.Sending {
		t.Helper()
		s := begin(t, h)
		if ok, err := h.in.claims.makeFolder(s); !ok || err != nil {
			t.Fatal(ok, err)
		}
		return s
	}
	moved := func(t *testing.T, h *harness, n int) *campaign.Sending {
		t.Helper()
		s := made(t, h)
		for _, f := range s.Files[:n] {
			if err := os.Rename(filepath.Join(h.inbox, f.Name), filepath.Join(folders.Of(s), f.Name)); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	checked := func(t *testing.T, h *harness) (*campaign.Sending, *check.Finding) {
		t.Helper()
		s := moved(t, h, 3)
		p, problems, err := openFolder(s, &h.config.Inboxes[0])
		if err != nil || problems.Count > 0 {
			t.Fatal(problems, err)
		}
		defer p.Close()
		if err := report.WriteChecking(folders.Of(s), s, 0.5, h.clock, nil); err != nil {
			t.Fatal(err)
		}
		sink := newStoreRowWriter(t.Context(), h.store, s, h.in.free)
		f, err := h.in.Checker().Check(t.Context(), p, h.in.inbox(h.inbox), nil, h.clock, sink, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.close(); err != nil {
			t.Fatal(err)
		}
		if f.Sending.Rows.Rejected > 0 {
			if err := sink.commitRejected(); err != nil {
				t.Fatal(err)
			}
		}
		copyFinding(s, f)
		return s, f
	}
	accepted := func(t *testing.T, h *harness) *campaign.Sending {
		t.Helper()
		s, f := checked(t, h)
		if f.Wrong() {
			if err := h.store.Refuse(s, campaign.StateRejected, f.Sending.Reason); err != nil {
				t.Fatal(err)
			}
			return s
		}
		if err := h.in.accept(t.Context(), s, f); err != nil {
			t.Fatal(err)
		}
		return s
	}
	// ended has everything sent but no folder keeper at work.
	ended := func(t *testing.T, h *harness) *campaign.Sending {
		t.Helper()
		s := accepted(t, h)
		if s.State != campaign.StateRejected {
			h.recordAll(s.ID)
		}
		s, err := h.store.Header(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reported := func(t *testing.T, h *harness) *campaign.Sending {
		t.Helper()
		s := ended(t, h)
		if err := report.Write(folders.Of(s), h.store, s.ID, nil); err != nil {
			t.Fatal(err)
		}
		return s
	}
	return []struct {
		name string
		do   func(*testing.T, *harness)
	}{
		{"nothing recorded", func(*testing.T, *harness) {}},
		{"recorded", func(t *testing.T, h *harness) { begin(t, h) }},
		{"folder made", func(t *testing.T, h *harness) { made(t, h) }},
		{"CSV moved", func(t *testing.T, h *harness) { moved(t, h, 1) }},
		{"layout moved", func(t *testing.T, h *harness) { moved(t, h, 2) }},
		{"all moved", func(t *testing.T, h *harness) { moved(t, h, 3) }},
		{"half checked", func(t *testing.T, h *harness) {
			s, _ := checked(t, h)
			h.write(filepath.Join(folders.Of(s), ".campaignd-123.tmp"), "half a rejected.csv")
			h.write(filepath.Join(h.config.StateDir, ".campaignd-456.tmp"), "keys")
		}},
		{"decided", func(t *testing.T, h *harness) { accepted(t, h) }},
		{"ended", func(t *testing.T, h *harness) { ended(t, h) }},
		{"reports written", func(t *testing.T, h *harness) { reported(t, h) }},
		{"status removed", func(t *testing.T, h *harness) {
			s := reported(t, h)
			for _, name := range []string{report.StatusFile, report.StatusTextFile} {
				_ = os.Remove(filepath.Join(folders.Of(s), name))
			}
		}},
		{"folder moved", func(t *testing.T, h *harness) {
			s := reported(t, h)
			for _, name := range []string{report.StatusFile, report.StatusTextFile} {
				_ = os.Remove(filepath.Join(folders.Of(s), name))
			}
			if err := os.Rename(folders.Of(s), folders.Final(s)); err != nil {
				t.Fatal(err)
			}
		}},
		{"filed", func(t *testing.T, h *harness) {
			s := ended(t, h)
			h.keeper.Changed(s.ID)
			h.updateFolders()
		}},
	}
}

// TestRecover: whatever state a crash leaves a drop in, the next start leads to the same
// result: its files byte for byte in one folder with the reports, each row once.
func TestRecover(t *testing.T) {
	for _, drop := range []struct {
		name, csv string
		folder    string
		files     []string
	}{
		{"good", goodCSV + ",Nobody\n" + strings.Repeat("1,x\n", 3) + strings.Repeat("3466677,x\n", 9), folders.Done,
			[]string{"rejected.csv", "report.json", "report.txt", "results.csv", "spring.csv", "spring.layout.json", "spring.schedule.json"}},
		{"bad", "phone,first\n,a\n,b\n", folders.Failed,
			[]string{"rejected.csv", "report.json", "report.txt", "spring.csv", "spring.layout.json", "spring.schedule.json"}},
	} {
		for _, c := range cutOffAt() {
			t.Run(drop.name+" "+c.name, func(t *testing.T) {
				h := newHarness(t, "", "")
				h.put("spring", drop.csv, goodLayout, goodSidecar)
				c.do(t, h)
				h.crash()
				h.work()
				if c.name == "nothing recorded" {
					h.in.Ready(h.watchedDrop("spring"))
					h.work()
				}
				s := h.newest("spring")
				if s == nil {
					t.Fatalf("it was forgotten\n%s", h.log)
				}
				if s.State == campaign.StateScheduled {
					h.crash() // once more, between acceptance and the first message
					h.work()
					wantParts(t, h.tree("accepted/" + s.FolderName())["status.json"], `"state": "scheduled"`)
					h.sendAll(s.ID)
				}
				h.crash()
				h.work()
				s = h.newest("spring")
				if !s.Filed {
					t.Fatalf("s.Filed = false, want true\n%s", h.log)
				}
				if len(h.sendings()) != 1 {
					t.Fatalf("len(h.sendings()) = %v, want 1\n%s", len(h.sendings()), h.log)
				}
				if diff := cmp.Diff(drop.files, h.names(drop.folder+"/"+s.FolderName())); diff != "" {
					t.Error(diff)
				}
				all := h.tree(drop.folder + "/" + s.FolderName())
				if all["spring.csv"] != drop.csv {
					t.Errorf("the files are not what was dropped: all[\"spring.csv\"] = %q, want %q", all["spring.csv"], drop.csv)
				}
				if all["spring.layout.json"] != goodLayout {
					t.Errorf("the files are not what was dropped: all[\"spring.layout.json\"] = %q, want %q", all["spring.layout.json"], goodLayout)
				}
				if all["spring.schedule.json"] != goodSidecar {
					t.Errorf("the files are not what was dropped: all[\"spring.schedule.json\"] = %q, want %q", all["spring.schedule.json"], goodSidecar)
				}
				if diff := cmp.Diff([]string{folders.Accepted, folders.Done, folders.Failed}, h.names("")); diff != "" {
					t.Error(diff)
				}
				if left := h.names(folders.Accepted); len(left) > 0 {
					t.Error("left in accepted:", left)
				}
				if lines := strings.Count(all["results.csv"], "\n"); drop.folder == folders.Done && lines != 16 {
					t.Errorf("%d lines in results.csv:\n%s", lines, all["results.csv"])
				}
				if temps, _ := filepath.Glob(filepath.Join(h.config.StateDir, ".*")); len(temps) > 0 {
					t.Error("left:", temps)
				}
				h.verifyStore()
			})
		}
	}
}

// A folder of campaigns that can't be read is a fault of the machine: the drop waits.
func TestCampaignsFolderAway(t *testing.T) {
	h := newHarness(t, "", "")
	away := h.config.CampaignsDir + ".away"
	if err := os.Rename(h.config.CampaignsDir, away); err != nil {
		t.Fatal(err)
	}
	if s := h.drop("spring", goodCSV, goodLayout, goodSidecar); s.State != campaign.StateChecking {
		t.Fatalf("%+v", s)
	}
	h.retryAll()
	if err := os.Rename(away, h.config.CampaignsDir); err != nil {
		t.Fatal(err)
	}
	h.retryAll()
	switch s := h.newest("spring"); {
	case s.State != campaign.StateScheduled:
		t.Errorf("s.State = %q, want %q\n%+v", s.State, campaign.StateScheduled, s)
	case len(h.sendings()) != 1:
		t.Errorf("len(h.sendings()) = %v, want 1", len(h.sendings()))
	}
	h.verifyStore()
}
