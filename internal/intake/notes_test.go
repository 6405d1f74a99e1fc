package intake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// note returns a note of the inbox, "" if there is none.
func (h *harness) note(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.inbox, name+watch.NoteExtension))
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	return string(text)
}

// scanned does what a scan with these notes causes.
func (h *harness) scanned(notes ...watch.Note) {
	h.in.Notes(h.inbox, notes)
	h.in.notes.update()
}

func TestNoteIsWrittenOnceForEachReason(t *testing.T) {
	h := newHarness(t, "", "")
	waits := watch.Note{Name: "spring", Reason: "a", Text: "It waits for spring.csv."}
	h.scanned(waits)
	wantParts(t, h.note("spring"), "It waits for spring.csv.", "from campaignd")
	if err := os.Remove(filepath.Join(h.inbox, "spring.note.txt")); err != nil {
		t.Fatal(err)
	}
	h.scanned(waits)
	if got := h.note("spring"); got != "" {
		t.Errorf("a removed note came back: %q", got)
	}
	waits.Reason, waits.Text = "b", "It waits for spring.layout.json."
	h.scanned(waits)
	wantParts(t, h.note("spring"), "It waits for spring.layout.json.")
	h.scanned()
	if got := h.note("spring"); got != "" {
		t.Errorf("the wait has ended and the note stays: %q", got)
	}
}

func TestNotesOfTheLastRunAreRemoved(t *testing.T) {
	h := newHarness(t, "", "")
	h.scanned(watch.Note{Name: "spring", Reason: "a", Text: "It waits."})
	h.write(filepath.Join(h.inbox, "mine.note.txt"), "written by the partner\n")
	h.crash()
	h.scanned()
	if got := h.note("spring"); got != "" {
		t.Errorf("the old note stays: %q", got)
	}
	h.scanned(watch.Note{Name: "mine", Reason: "a", Text: "It waits."})
	if got := h.note("mine"); got != "written by the partner\n" {
		t.Errorf("the partner's file became %q", got)
	}
}

func TestDropThatWaitsForItsProofIsNoted(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, `{"applicationId": 1, "campaignId": 7, "rows": 3}`)
	d := h.watchedDrop("spring")
	h.in.Ready(d)
	h.work()
	h.scanned()
	if got := h.note("spring"); got != "" {
		t.Errorf("an early note %q", got)
	}
	h.clock = h.clock.Add(time.Minute)
	h.scanned()
	wantParts(t, h.note("spring"), `campaignd has all files of the drop "spring". It waits until 2026-03-02 10:00:00 UTC and then goes to failed/: the CSV has 2 data rows`)
	h.write(filepath.Join(h.inbox, "spring.csv"), goodCSV+"34666555777,Eve\n")
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if s := h.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Fatalf("got %+v, want State %q", s, campaign.StateScheduled)
	}
	if got := h.note("spring"); got != "" {
		t.Errorf("the drop was taken in and the note stays: %q", got)
	}
}

func TestNearMissGoesToFailedWithItsDrop(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, "")
	h.write(filepath.Join(h.inbox, "spring.shedule.json"), `{"dryRun": true}`)
	d := h.watchedDrop("spring")
	info, err := os.Lstat(filepath.Join(h.inbox, "spring.shedule.json"))
	if err != nil {
		t.Fatal(err)
	}
	d.Near = []watch.File{{Name: "spring.shedule.json", ID: safeio.FileID(info)}}
	d.Problems = []campaign.Problem{{Code: "near-miss", File: "spring.shedule.json", Message: "rename it to spring.schedule.json"}}
	h.in.Incomplete(d)
	h.work()
	s := h.newest("spring")
	wantParts(t, h.report(s), "rename it to spring.schedule.json")
	if files := h.tree("failed"); files[s.FolderName()+"/spring.shedule.json"] != `{"dryRun": true}` {
		t.Errorf("failed/ has %v", files)
	}
}

func TestFileWithABadNameIsMovedWithAReport(t *testing.T) {
	h := newHarness(t, "", "")
	for _, name := range []string{"caf\xe9.csv", "a\nb.csv", strings.Repeat("n", 251) + ".csv"} {
		for range 2 {
			h.write(filepath.Join(h.inbox, name), "x")
			h.in.BadName(h.inbox, watch.File{Name: name}, "the name can't be used")
			h.work()
		}
	}
	for name := range h.tree("") {
		if !strings.Contains(name, "/") {
			t.Errorf("%q is still in the inbox", name)
		}
	}
	files := h.tree("failed")
	if files["caf\xe9.csv"] != "x" {
		t.Errorf("failed/ has %d files: files[\"caf\\xe9.csv\"] = %q, want \"x\"\n%v", len(files), files["caf\xe9.csv"], h.names("failed"))
	}
	if len(files) != 12 {
		t.Errorf("failed/ has %d files: len(files) = %v, want 12\n%v", len(files), len(files), h.names("failed"))
	}
	wantParts(t, files[`caf\xe9.csv.report.txt`], `"caf\xe9.csv" was not taken in: the name can't be used.`)
	wantParts(t, files[`a\nb.csv.report.txt`], `"a\nb.csv" was not taken in`)
}

// A folder with the name of a control file is no drop that could be uploaded again.
func TestFolderNamedLikeAControlFileIsAnsweredByItself(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	if err := os.Mkdir(filepath.Join(h.inbox, "spring.cancel"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.in.Refused(watch.Drop{Inbox: h.inbox, Name: "spring", Others: []watch.File{{Name: "spring.cancel"}},
		Problems: []campaign.Problem{{Code: "file-special", File: "spring.cancel", Message: "is a folder; put a file here"}}})
	h.work()
	wantParts(t, h.tree("failed")["spring.cancel.report.txt"], `"spring.cancel" was not taken in: it is a folder; put a file here.`)
	if got := h.newest("spring").ID; got != s.ID {
		t.Errorf("the folder became the drop %s", got)
	}
	if _, err := os.Lstat(filepath.Join(h.inbox, "spring.cancel")); err == nil {
		t.Error("the folder is still in the inbox")
	}
}

func TestStopPausesAndSaysHowToCancel(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("spring")
	h.control("spring.stop", "")
	if got := h.header(s.ID).State; got != campaign.StatePaused {
		t.Errorf("the sending is %s, want paused", got)
	}
	h.updateFolders()
	files := h.tree("accepted/" + s.FolderName())
	wantParts(t, files["status.txt"], "spring.stop only pauses; to cancel, upload an empty file named spring.cancel.", "State        paused")
}

// A control file whose name has another normal form than the drop's is obeyed.
func TestControlFileInAnotherNormalForm(t *testing.T) {
	h := newHarness(t, "", "")
	s := h.good("campa\u00f1a")
	h.control("campan\u0303a.cancel", "")
	if got := h.header(s.ID).State; got != campaign.StateCanceled {
		t.Errorf("the sending is %s, want canceled", got)
	}
}

// A stop is obeyed before the next drop, however many wait.
func TestStopIsObeyedWhileAQueueIsLong(t *testing.T) {
	q := newQueue[task]()
	for i := range 1000 {
		q.put("inbox", fmt.Sprint(i), nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := q.take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("take returned %v after the stop, want canceled", err)
	}
}

// Refusing a drop reads a constant number of records, however many there were before.
func TestRefusalDoesNotReadEarlierDrops(t *testing.T) {
	h := newHarness(t, "", "")
	for i := range 30 {
		d := watch.Drop{Inbox: h.inbox, Name: fmt.Sprintf("n%d", i), FirstSeen: h.clock}
		h.put(d.Name, goodCSV, "", "")
		h.in.Incomplete(h.watchedDrop(d.Name))
		h.work()
	}
	if n := len(h.in.newest.known); n != 30 {
		t.Errorf("%d names are known, want 30", n)
	}
	h.put("n7", goodCSV, "", "")
	h.in.Incomplete(h.watchedDrop("n7"))
	h.work()
	wantParts(t, h.report(h.newest("n7")), "an earlier drop of this name was taken in as 20260302-000008")
}
