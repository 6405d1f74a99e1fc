package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
	"campaignd/internal/watch"
)

// TestPitfall10HostileFiles: what is no plain file is moved to failed/ as it is,
// never opened, with a report, and once.
func TestPitfall10HostileFiles(t *testing.T) {
	for name, make := range map[string]func(r *rig, path string) error{
		"link": func(_ *rig, path string) error { return os.Symlink("/etc/passwd", path) },
		"fifo": func(_ *rig, path string) error { return unix.Mkfifo(path, 0o644) },
		"hard link": func(r *rig, path string) error {
			r.write(filepath.Join(r.dir, "other"), goodCSV)
			return os.Link(filepath.Join(r.dir, "other"), path)
		},
		"folder": func(_ *rig, path string) error { return os.MkdirAll(filepath.Join(path, "inside"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			r.put("spring", "", goodLayout, goodSidecar)
			if err := make(r, filepath.Join(r.inbox, "spring.csv")); err != nil {
				t.Fatal(err)
			}
			d := r.seen("spring")
			d.Trouble = []campaign.Problem{{File: "spring.csv", Message: "is a " + name}}
			r.in.Refused(d)
			r.work()
			s := r.newest("spring")
			if s == nil || s.State != campaign.StateRejected || !s.Filed {
				t.Fatalf("%+v\n%s", s, r.log)
			}
			if diff := cmp.Diff([]string{acceptedFolder, doneFolder, failedFolder}, r.names("")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"report.json", "report.txt", "spring.csv", "spring.layout.json", "spring.schedule.json"},
				r.names("failed/"+s.FolderName())); diff != "" {
				t.Error(diff)
			}
			has(t, r.report(s), "Rejected, nothing was sent: a file of the drop can't be taken as it is: spring.csv: is a "+name+".")
			r.balanced()
		})
	}
}

// A refused drop that a crash cuts off is refused by the next start, never checked and sent.
func TestRefusedSurvivesACrash(t *testing.T) {
	r := newRig(t, "require_sidecar = true\napplication = 1\ncampaign = 7", "")
	r.put("spring", goodCSV, goodLayout, "")
	d := r.seen("spring")
	no := &refusal{reason: "the drop was still incomplete after 1h: no sidecar"}
	no.problems.Add(campaign.Problem{File: "spring.schedule.json", Message: "never arrived"})
	if _, err := r.in.claim(d, no); err != nil {
		t.Fatal(err)
	}
	r.crash()
	r.work()
	s := r.newest("spring")
	if s.State != campaign.StateRejected || !s.Filed || s.ProblemCount != 1 {
		t.Fatalf("%+v", s)
	}
	has(t, r.report(s), no.reason, "spring.schedule.json: never arrived")
}

func TestIncomplete(t *testing.T) {
	r := newRig(t, `pair_timeout = "90m"`, "")
	r.put("spring", goodCSV, "", "")
	d := r.seen("spring")
	d.Trouble = []campaign.Problem{{File: "spring.layout.json", Message: "never arrived"}}
	r.in.Incomplete(d)
	r.in.Incomplete(d)
	r.work()
	s := r.newest("spring")
	if s.State != campaign.StateRejected || len(r.sendings()) != 1 || r.tree("failed/" + s.FolderName())["spring.csv"] != goodCSV {
		t.Fatalf("%+v", s)
	}
	has(t, r.report(s), "the drop was still incomplete after 1h30m: spring.layout.json: never arrived.", "\n  spring.layout.json: never arrived\n")
}

// A sidecar that comes after its drop was claimed is told which sending went before.
func TestLateSidecar(t *testing.T) {
	r := newRig(t, "application = 1\ncampaign = 7", "")
	first := r.drop("spring", goodCSV, goodLayout, "")
	if first.State != campaign.StateScheduled {
		t.Fatalf("%+v", first)
	}
	r.put("spring", "", "", `{"delay": "PT1H"}`)
	d := r.seen("spring")
	d.Trouble = []campaign.Problem{{File: "spring.csv", Message: "never arrived"}, {File: "spring.layout.json", Message: "never arrived"}}
	r.clock = r.clock.Add(time.Hour)
	r.in.Incomplete(d)
	r.work()
	s := r.newest("spring")
	if s.ID == first.ID || s.State != campaign.StateRejected {
		t.Fatalf("%+v", s)
	}
	has(t, r.report(s), "a drop of this name went before, as "+string(first.ID)+" at 2026-03-02 09:00:00 UTC")
	if now, err := r.store.Header(first.ID); err != nil || now.State != campaign.StateScheduled || !now.ScheduledAt.Equal(first.ScheduledAt) {
		t.Errorf("the first one changed: %+v %v", now, err)
	}
}

// A second drop of a name that is still being checked waits until the first is decided.
func TestSecondDropOfANameWaits(t *testing.T) {
	r := newRig(t, "", "")
	second := false
	r.meddle(func() {
		r.put("spring", goodCSV+"1,Late\n", goodLayout, goodSidecar)
		r.in.Ready(r.seen("spring"))
		r.in.Incomplete(r.seen("spring"))
		_, _, second = r.in.small.pop()
	})
	s := r.drop("spring", goodCSV, goodLayout, goodSidecar)
	if second || s.Rows.Accepted != 2 || r.tree("")["spring.csv"] != goodCSV+"1,Late\n" {
		t.Fatalf("mixed: %v %+v", second, s)
	}
	r.in.Ready(r.seen("spring"))
	r.work()
	if s := r.newest("spring"); s.Rows.Accepted != 3 {
		t.Errorf("%+v", s)
	}
}

// The names of campaignd's own files can't be a drop's: the originals would be lost.
func TestNamesOfOurOwnFiles(t *testing.T) {
	for _, name := range []string{"results", "rejected"} {
		r := newRig(t, "", "")
		csv := goodCSV + ",x\n"
		s := r.drop(name, csv, goodLayout, goodSidecar)
		if s.State != campaign.StateRejected {
			t.Fatalf("%+v", s)
		}
		if got := r.tree("failed/" + s.FolderName())[name+".csv"]; got != csv {
			t.Errorf("%s.csv became %q", name, got)
		}
		has(t, r.report(s), name+".csv: has the name of a file that campaignd itself writes beside it")
	}
}

// The inbox of a claim may be configured no more, or not be mounted: it is waited for.
func TestRecoverWaitsForTheInbox(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	s, err := r.in.claim(r.seen("spring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	inboxes := r.config.Inboxes
	r.config.Inboxes = nil
	r.crash()
	r.work()
	r.again()
	if got := r.log.lines("configured no more"); len(got) != 1 {
		t.Errorf("said %d times", len(got))
	}
	r.config.Inboxes = inboxes
	away := r.inbox + ".away"
	if err := os.Rename(r.inbox, away); err != nil {
		t.Fatal(err)
	}
	r.again() // no inbox at all
	if err := os.Mkdir(r.inbox, 0o755); err != nil {
		t.Fatal(err)
	}
	r.again() // the empty folder that a disk is mounted on
	r.again()
	if now := r.newest("spring"); now.State != campaign.StateChecking {
		t.Fatalf("%+v\n%s", now, r.log)
	}
	if err := os.RemoveAll(r.inbox); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, r.inbox); err != nil {
		t.Fatal(err)
	}
	r.again()
	if now := r.newest("spring"); now.State != campaign.StateScheduled || now.ID != s.ID {
		t.Errorf("%+v\n%s", now, r.log)
	}
	r.balanced()
}

// Files that are really gone are reported after pair_timeout.
func TestRecoverFilesGone(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	s, err := r.in.claim(r.seen("spring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder(s)); err != nil {
		t.Fatal(err)
	}
	r.crash()
	r.work()
	r.clock = r.clock.Add(2 * time.Hour)
	r.again()
	now := r.newest("spring")
	if now.State != campaign.StateRejected {
		t.Fatalf("%+v\n%s", now, r.log)
	}
	has(t, r.report(now), "the files were removed while the drop was being taken in: drop them again", "spring.csv: was removed before it had been checked")
}

// What a power cut left of a file doesn't pass for the whole.
func TestRecoverAfterPowerCut(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	s, err := r.in.claim(r.seen("spring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folder(s), "spring.csv"), 30); err != nil {
		t.Fatal(err)
	}
	r.crash()
	r.work()
	now := r.newest("spring")
	if now.State != campaign.StateRejected {
		t.Fatalf("%+v", now)
	}
	has(t, r.report(now), "spring.csv: has 30 bytes, and had 46 when it was taken in", "drop it again")
}

func TestUnreadableAndUnknownInboxes(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	d := r.seen("spring")
	d.Inbox = filepath.Join(r.dir, "other")
	r.in.Ready(d)
	r.in.Control(watch.Control{Inbox: d.Inbox, Name: "x", Action: watch.ActionSuppress, File: watch.File{Name: "x.suppress.csv"}})
	r.work()
	if len(r.sendings()) > 0 || strings.Contains(r.log.String(), "level=ERROR") {
		t.Errorf("%s", r.log)
	}
}

func TestLength(t *testing.T) {
	for want, d := range map[string]time.Duration{"1h": time.Hour, "90h": 90 * time.Hour, "1h30m": 90 * time.Minute, "10m": 10 * time.Minute,
		"1m30s": 90 * time.Second, "1h0m30s": time.Hour + 30*time.Second, "0s": 0, "250ms": 250 * time.Millisecond, "20s": 20 * time.Second} {
		if got := length(d); got != want {
			t.Errorf("length(%v) = %s, want %s", d, got, want)
		}
	}
}
