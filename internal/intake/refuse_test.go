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
	"campaignd/internal/folders"
	"campaignd/internal/watch"
)

// A file that isn't plain is moved to failed/ unopened, once, with a report.
func TestHostileFilesAreMovedUnopened(t *testing.T) {
	for name, make := range map[string]func(h *harness, path string) error{
		"link": func(_ *harness, path string) error { return os.Symlink("/etc/passwd", path) },
		"fifo": func(_ *harness, path string) error { return unix.Mkfifo(path, 0o644) },
		"hard link": func(h *harness, path string) error {
			h.write(filepath.Join(h.dir, "other"), goodCSV)
			return os.Link(filepath.Join(h.dir, "other"), path)
		},
		"folder": func(_ *harness, path string) error { return os.MkdirAll(filepath.Join(path, "inside"), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			h.put("spring", "", goodLayout, goodSidecar)
			if err := make(h, filepath.Join(h.inbox, "spring.csv")); err != nil {
				t.Fatal(err)
			}
			d := h.watchedDrop("spring")
			d.Problems = []campaign.Problem{{File: "spring.csv", Message: "is a " + name}}
			h.in.Refused(d)
			h.work()
			s := h.newest("spring")
			switch {
			case s == nil:
				t.Fatalf("s is nil\n%s", h.log)
			case s.State != campaign.StateRejected:
				t.Fatalf("s.State = %q, want %q\n%s", s.State, campaign.StateRejected, h.log)
			case !s.Filed:
				t.Fatalf("s.Filed = false, want true\n%s", h.log)
			}
			if diff := cmp.Diff([]string{folders.Accepted, folders.Done, folders.Failed}, h.names("")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"report.json", "report.txt", "spring.csv", "spring.layout.json", "spring.schedule.json"},
				h.names("failed/"+s.FolderName())); diff != "" {
				t.Error(diff)
			}
			wantParts(t, h.report(s), "Rejected, nothing was sent: a file of the drop can't be taken: spring.csv: is a "+name+".")
			h.verifyStore()
		})
	}
}

// A refusal interrupted by a crash is completed at the next start; the drop is never sent.
func TestRefusedSurvivesACrash(t *testing.T) {
	h := newHarness(t, "require_sidecar = true\napplication = 1\ncampaign = 7", "")
	h.put("spring", goodCSV, goodLayout, "")
	d := h.watchedDrop("spring")
	no := &refusal{reason: "the drop was still incomplete after 1h: no sidecar"}
	no.problems.Add(campaign.Problem{File: "spring.schedule.json", Message: "never arrived"})
	if _, err := h.in.claims.claim(d, no); err != nil {
		t.Fatal(err)
	}
	h.crash()
	h.work()
	s := h.newest("spring")
	if s.State != campaign.StateRejected {
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	}
	if !s.Filed {
		t.Fatal("s.Filed = false, want true")
	}
	if s.ProblemCount != 1 {
		t.Fatalf("s.ProblemCount = %v, want 1", s.ProblemCount)
	}
	wantParts(t, h.report(s), no.reason, "spring.schedule.json: never arrived")
}

func TestIncomplete(t *testing.T) {
	h := newHarness(t, `pair_timeout = "90m"`, "")
	h.put("spring", goodCSV, "", "")
	d := h.watchedDrop("spring")
	d.Problems = []campaign.Problem{{File: "spring.layout.json", Message: "never arrived"}}
	h.in.Incomplete(d)
	h.in.Incomplete(d)
	h.work()
	s := h.newest("spring")
	switch {
	case s.State != campaign.StateRejected:
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	case len(h.sendings()) != 1:
		t.Fatalf("len(h.sendings()) = %v, want 1", len(h.sendings()))
	case h.tree("failed/" + s.FolderName())["spring.csv"] != goodCSV:
		t.Fatalf("h.tree(\"failed/\" + s.FolderName())[\"spring.csv\"] = %q, want %q", h.tree("failed/" + s.FolderName())["spring.csv"], goodCSV)
	}
	wantParts(t, h.report(s), "the drop was still incomplete after 90m: spring.layout.json: never arrived.", "\n  spring.layout.json: never arrived\n")
}

// The report on a sidecar that came after the claim names the earlier sending.
func TestLateSidecar(t *testing.T) {
	h := newHarness(t, "application = 1\ncampaign = 7", "")
	first := h.drop("spring", goodCSV, goodLayout, "")
	if first.State != campaign.StateScheduled {
		t.Fatalf("%+v", first)
	}
	h.put("spring", "", "", `{"delay": "PT1H"}`)
	d := h.watchedDrop("spring")
	d.Problems = []campaign.Problem{{File: "spring.csv", Message: "never arrived"}, {File: "spring.layout.json", Message: "never arrived"}}
	h.clock = h.clock.Add(time.Hour)
	h.in.Incomplete(d)
	h.work()
	s := h.newest("spring")
	if s.ID == first.ID {
		t.Fatalf("s.ID = %q, want another one", s.ID)
	}
	if s.State != campaign.StateRejected {
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	}
	wantParts(t, h.report(s), "an earlier drop of this name was taken in as "+string(first.ID)+" at 2026-03-02 10:00:00 +01:00")
	switch now, err := h.store.Header(first.ID); {
	case err != nil:
		t.Errorf("the first one changed: %v", err)
	case now.State != campaign.StateScheduled:
		t.Errorf("the first one changed: now.State = %q, want %q\n%+v", now.State, campaign.StateScheduled, now)
	case !now.ScheduledAt.Equal(first.ScheduledAt):
		t.Errorf("the first one changed: now.ScheduledAt = %v, want %v", now.ScheduledAt, first.ScheduledAt)
	}
}

// A second drop of a name that is still being checked waits until the first is decided.
func TestSecondDropOfANameWaits(t *testing.T) {
	h := newHarness(t, "", "")
	second := false
	h.hookCheck(func() {
		h.put("spring", goodCSV+"1,Late\n", goodLayout, goodSidecar)
		h.in.Ready(h.watchedDrop("spring"))
		h.in.Incomplete(h.watchedDrop("spring"))
		_, _, second = h.in.queue.small.pop()
	})
	s := h.drop("spring", goodCSV, goodLayout, goodSidecar)
	if second {
		t.Fatal("mixed: second = true, want false")
	}
	if s.Rows.Accepted != 2 {
		t.Fatalf("mixed: s.Rows.Accepted = %v, want 2", s.Rows.Accepted)
	}
	if h.tree("")["spring.csv"] != goodCSV+"1,Late\n" {
		t.Fatalf("mixed: h.tree(\"\")[\"spring.csv\"] = %q, want \"phone,first\\n34666777888,Ada\\n34666555666,Grace\\n1,Late\\n\"", h.tree("")["spring.csv"])
	}
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if s := h.newest("spring"); s.Rows.Accepted != 3 {
		t.Errorf("%+v", s)
	}
}

// The names of campaignd's own files can't be a drop's: the originals would be lost.
func TestNamesOfOurOwnFiles(t *testing.T) {
	for _, name := range []string{"results", "rejected"} {
		h := newHarness(t, "", "")
		csv := goodCSV + ",x\n"
		s := h.drop(name, csv, goodLayout, goodSidecar)
		if s.State != campaign.StateRejected {
			t.Fatalf("%+v", s)
		}
		if got := h.tree("failed/" + s.FolderName())[name+".csv"]; got != csv {
			t.Errorf("%s.csv became %q", name, got)
		}
		wantParts(t, h.report(s), name+".csv: has the name of a file that campaignd writes next to it")
	}
}

// A claim waits while its inbox is not configured or not mounted.
func TestRecoverWaitsForTheInbox(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	s, err := h.in.claims.claim(h.watchedDrop("spring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	inboxes := h.config.Inboxes
	h.config.Inboxes = nil
	h.crash()
	h.work()
	h.retryAll()
	if got := h.log.lines("no longer configured"); len(got) != 1 {
		t.Errorf("said %d times", len(got))
	}
	h.config.Inboxes = inboxes
	away := h.inbox + ".away"
	if err := os.Rename(h.inbox, away); err != nil {
		t.Fatal(err)
	}
	h.retryAll() // no inbox at all
	if err := os.Mkdir(h.inbox, 0o755); err != nil {
		t.Fatal(err)
	}
	h.retryAll() // the empty folder that a disk is mounted on
	h.retryAll()
	if now := h.newest("spring"); now.State != campaign.StateChecking {
		t.Fatalf("%+v\n%s", now, h.log)
	}
	if err := os.RemoveAll(h.inbox); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, h.inbox); err != nil {
		t.Fatal(err)
	}
	h.retryAll()
	switch now := h.newest("spring"); {
	case now.State != campaign.StateScheduled:
		t.Errorf("now.State = %q, want %q\n%+v\n%s", now.State, campaign.StateScheduled, now, h.log)
	case now.ID != s.ID:
		t.Errorf("now.ID = %q, want %q\n%s", now.ID, s.ID, h.log)
	}
	h.verifyStore()
}

// Files that are really gone are reported after pair_timeout.
func TestRecoverFilesGone(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	s, err := h.in.claims.claim(h.watchedDrop("spring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folders.Of(s)); err != nil {
		t.Fatal(err)
	}
	h.crash()
	h.work()
	h.clock = h.clock.Add(2 * time.Hour)
	h.retryAll()
	now := h.newest("spring")
	if now.State != campaign.StateRejected {
		t.Fatalf("%+v\n%s", now, h.log)
	}
	wantParts(t, h.report(now), "the files were removed while the drop was being taken in: upload them again", "spring.csv: was removed before it had been checked")
}

// A file shortened by a power cut doesn't pass for the complete one.
func TestRecoverAfterPowerCut(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	s, err := h.in.claims.claim(h.watchedDrop("spring"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(folders.Of(s), "spring.csv"), 30); err != nil {
		t.Fatal(err)
	}
	h.crash()
	h.work()
	now := h.newest("spring")
	if now.State != campaign.StateRejected {
		t.Fatalf("%+v", now)
	}
	wantParts(t, h.report(now), "spring.csv: has 30 bytes, and had 46 when it was taken in", "upload it again")
}

func TestUnreadableAndUnknownInboxes(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	d := h.watchedDrop("spring")
	d.Inbox = filepath.Join(h.dir, "other")
	h.in.Ready(d)
	h.in.Control(watch.Control{Inbox: d.Inbox, Name: "x", Action: watch.ActionSuppress, File: watch.File{Name: "x.suppress.csv"}})
	h.work()
	switch {
	case len(h.sendings()) > 0:
		t.Errorf("len(h.sendings()) = %v, want 0", len(h.sendings()))
	case strings.Contains(h.log.String(), "level=ERROR"):
		t.Errorf("want no \"level=ERROR\" in:\n%s", h.log.String())
	}
}
