package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/report"
)

// cutOffAt are the states that a crash can leave a drop in, from the first record
// to the last. Each does the steps up to there as the Intake would.
func cutOffAt() []struct {
	name string
	do   func(*testing.T, *rig)
} {
	begin := func(t *testing.T, r *rig) *campaign.Sending {
		t.Helper()
		if err := MakeFolders(r.inbox); err != nil {
			t.Fatal(err)
		}
		d := r.seen("spring")
		s := &campaign.Sending{Name: d.Name, Inbox: d.Inbox, ReceivedAt: r.clock, Files: fileIDs(d)}
		if err := r.store.Begin(s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	made := func(t *testing.T, r *rig) *campaign.Sending {
		t.Helper()
		s := begin(t, r)
		if ok, err := r.in.makeFolder(s); !ok || err != nil {
			t.Fatal(ok, err)
		}
		return s
	}
	moved := func(t *testing.T, r *rig, n int) *campaign.Sending {
		t.Helper()
		s := made(t, r)
		for _, f := range s.Files[:n] {
			if err := os.Rename(filepath.Join(r.inbox, f.Name), filepath.Join(folder(s), f.Name)); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	checked := func(t *testing.T, r *rig) (*campaign.Sending, *Finding) {
		t.Helper()
		s := moved(t, r, 3)
		p, problems, err := openFolder(s)
		if err != nil || problems.Count > 0 {
			t.Fatal(problems, err)
		}
		defer p.Close()
		if err := report.WriteStatus(folder(s), report.Checking(s, 0.5)); err != nil {
			t.Fatal(err)
		}
		sink := newStoreSink(t.Context(), r.store, s)
		f, err := r.in.checker().Check(t.Context(), p, r.in.inbox(r.inbox), nil, r.clock, sink, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.close(); err != nil {
			t.Fatal(err)
		}
		if f.Sending.Rows.Rejected > 0 {
			if err := sink.keepRejected(); err != nil {
				t.Fatal(err)
			}
		}
		adopt(s, f)
		return s, f
	}
	accepted := func(t *testing.T, r *rig) *campaign.Sending {
		t.Helper()
		s, f := checked(t, r)
		if f.Wrong() {
			if err := r.store.Refuse(s, campaign.StateRejected, f.Sending.Reason); err != nil {
				t.Fatal(err)
			}
			return s
		}
		if err := r.in.accept(t.Context(), s, f); err != nil {
			t.Fatal(err)
		}
		return s
	}
	// ended has everything sent but no clerk at work.
	ended := func(t *testing.T, r *rig) *campaign.Sending {
		t.Helper()
		s := accepted(t, r)
		if s.State != campaign.StateRejected {
			r.in.clerk.reopen(s.ID) // keeps the clerk away
			r.sendAll(s.ID)
		}
		s, err := r.store.Header(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	reported := func(t *testing.T, r *rig) *campaign.Sending {
		t.Helper()
		s := ended(t, r)
		if err := report.Write(folder(s), r.store, s.ID); err != nil {
			t.Fatal(err)
		}
		return s
	}
	return []struct {
		name string
		do   func(*testing.T, *rig)
	}{
		{"nothing recorded", func(*testing.T, *rig) {}},
		{"recorded", func(t *testing.T, r *rig) { begin(t, r) }},
		{"folder made", func(t *testing.T, r *rig) { made(t, r) }},
		{"CSV moved", func(t *testing.T, r *rig) { moved(t, r, 1) }},
		{"layout moved", func(t *testing.T, r *rig) { moved(t, r, 2) }},
		{"all moved", func(t *testing.T, r *rig) { moved(t, r, 3) }},
		{"half checked", func(t *testing.T, r *rig) {
			s, _ := checked(t, r)
			r.write(filepath.Join(folder(s), ".campaignd-123.tmp"), "half a rejected.csv")
			r.write(filepath.Join(r.config.StateDir, ".campaignd-456.tmp"), "keys")
		}},
		{"decided", func(t *testing.T, r *rig) { accepted(t, r) }},
		{"ended", func(t *testing.T, r *rig) { ended(t, r) }},
		{"reports written", func(t *testing.T, r *rig) { reported(t, r) }},
		{"status removed", func(t *testing.T, r *rig) {
			s := reported(t, r)
			_ = os.Remove(filepath.Join(folder(s), report.StatusFile))
		}},
		{"folder moved", func(t *testing.T, r *rig) {
			s := reported(t, r)
			_ = os.Remove(filepath.Join(folder(s), report.StatusFile))
			if err := os.Rename(folder(s), finalFolder(s)); err != nil {
				t.Fatal(err)
			}
		}},
		{"filed", func(t *testing.T, r *rig) {
			s := ended(t, r)
			if err := r.in.leave(s); err != nil {
				t.Fatal(err)
			}
		}},
	}
}

// TestRecover: whatever a crash leaves of a drop, the next start brings it to one
// and the same end: its files byte for byte in one folder with the reports, each row once.
func TestRecover(t *testing.T) {
	for _, drop := range []struct {
		name, csv string
		folder    string
		files     []string
	}{
		{"good", goodCSV + ",Nobody\n" + strings.Repeat("1,x\n", 3) + strings.Repeat("3466677,x\n", 9), doneFolder,
			[]string{"rejected.csv", "report.json", "report.txt", "results.csv", "spring.csv", "spring.layout.json", "spring.schedule.json"}},
		{"bad", "phone,first\n,a\n,b\n", failedFolder,
			[]string{"rejected.csv", "report.json", "report.txt", "spring.csv", "spring.layout.json", "spring.schedule.json"}},
	} {
		for _, c := range cutOffAt() {
			t.Run(drop.name+" "+c.name, func(t *testing.T) {
				r := newRig(t, "", "")
				r.put("spring", drop.csv, goodLayout, goodSidecar)
				c.do(t, r)
				r.crash()
				r.work()
				if c.name == "nothing recorded" {
					r.in.Ready(r.seen("spring"))
					r.work()
				}
				s := r.newest("spring")
				if s == nil {
					t.Fatalf("it was forgotten\n%s", r.log)
				}
				if s.State == campaign.StateScheduled {
					r.crash() // once more, between acceptance and the first message
					r.work()
					has(t, r.tree("accepted/" + s.FolderName())["status.json"], `"state": "scheduled"`)
					r.sendAll(s.ID)
				}
				r.crash()
				r.work()
				s = r.newest("spring")
				if !s.Filed || len(r.sendings()) != 1 {
					t.Fatalf("%d sendings, the newest %+v\n%s", len(r.sendings()), s, r.log)
				}
				if diff := cmp.Diff(drop.files, r.names(drop.folder+"/"+s.FolderName())); diff != "" {
					t.Error(diff)
				}
				all := r.tree(drop.folder + "/" + s.FolderName())
				if all["spring.csv"] != drop.csv || all["spring.layout.json"] != goodLayout || all["spring.schedule.json"] != goodSidecar {
					t.Error("the files are not what was dropped")
				}
				if diff := cmp.Diff([]string{acceptedFolder, doneFolder, failedFolder}, r.names("")); diff != "" {
					t.Error(diff)
				}
				if left := r.names(acceptedFolder); len(left) > 0 {
					t.Error("left in accepted:", left)
				}
				if lines := strings.Count(all["results.csv"], "\n"); drop.folder == doneFolder && lines != 16 {
					t.Errorf("%d lines in results.csv:\n%s", lines, all["results.csv"])
				}
				if temps, _ := filepath.Glob(filepath.Join(r.config.StateDir, ".*")); len(temps) > 0 {
					t.Error("left:", temps)
				}
				r.balanced()
			})
		}
	}
}
