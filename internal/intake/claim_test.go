package intake

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

func TestClaimKeepsTheFilesAsTheyWere(t *testing.T) {
	h := newHarness(t, "", "")
	csv := "\xef\xbb\xbfphone;first\r\n34666777888;Ada\r\n"
	h.write(filepath.Join(h.inbox, "README.md"), "left alone")
	h.put("spring", csv, goodLayout, goodSidecar)
	if err := os.Rename(filepath.Join(h.inbox, "spring.csv"), filepath.Join(h.inbox, "spring.CSV")); err != nil {
		t.Fatal(err)
	}
	d := h.watchedDrop("spring")
	info, err := os.Lstat(filepath.Join(h.inbox, "spring.CSV"))
	if err != nil {
		t.Fatal(err)
	}
	d.CSV = &watch.File{Name: "spring.CSV", ID: safeio.FileID(info)}
	h.in.Ready(d)
	h.work()
	s := h.newest("spring")
	h.sendAll(s.ID)
	all := h.tree("done/spring." + string(s.ID))
	if all["spring.CSV"] != csv {
		t.Errorf("changed: all[\"spring.CSV\"] = %q, want %q", all["spring.CSV"], csv)
	}
	if all["spring.layout.json"] != goodLayout {
		t.Errorf("changed: all[\"spring.layout.json\"] = %q, want %q", all["spring.layout.json"], goodLayout)
	}
	if all["spring.schedule.json"] != goodSidecar {
		t.Errorf("changed: all[\"spring.schedule.json\"] = %q, want %q", all["spring.schedule.json"], goodSidecar)
	}
	if diff := cmp.Diff([]string{"README.md", "accepted", "done", "failed"}, h.names("")); diff != "" {
		t.Error(diff)
	}
}

// A new store counts from 1 and finds the old one's folders.
func TestClaimPassesByTakenFolders(t *testing.T) {
	h := newHarness(t, "", "")
	for i, place := range []string{folders.Accepted, folders.Done, folders.Failed} {
		id := campaign.NewID(h.clock, uint64(i+1))
		if err := os.MkdirAll(filepath.Join(h.inbox, place, "spring."+string(id)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if s := h.good("spring"); s.ID.Number() != 4 {
		t.Errorf("it became %s", s.ID)
	}
	for _, s := range h.sendings()[1:] {
		if !s.Void() {
			t.Error("s.Void() = false, want true")
		}
		if !s.Filed {
			t.Error("s.Filed = false, want true")
		}
	}
	h.verifyStore()
}

// If a file changes between examination and claim, all files return to the inbox.
func TestClaimGivenBack(t *testing.T) {
	for name, change := range map[string]func(layout string) error{
		"written": func(layout string) error { return os.WriteFile(layout, []byte(goodLayout+"\n"), 0o644) },
		"removed": os.Remove,
		"replaced": func(layout string) error {
			return errors.Join(os.WriteFile(layout+".tmp", []byte(goodLayout), 0o644), os.Rename(layout+".tmp", layout))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			h.put("spring", goodCSV, goodLayout, goodSidecar)
			d := h.watchedDrop("spring")
			if err := change(filepath.Join(h.inbox, "spring.layout.json")); err != nil {
				t.Fatal(err)
			}
			s, err := h.in.claims.claim(d, nil)
			if s != nil || err != nil {
				t.Fatal(s, err)
			}
			if got := h.tree("")["spring.csv"]; got != goodCSV {
				t.Error("the CSV is not back")
			}
			if left := h.names(folders.Accepted); len(left) > 0 {
				t.Error("left in accepted:", left)
			}
			h.put("spring", goodCSV, goodLayout, goodSidecar)
			h.in.Ready(h.watchedDrop("spring"))
			h.work()
			switch s := h.newest("spring"); {
			case s == nil:
				t.Error("s is nil")
			case s.State != campaign.StateScheduled:
				t.Errorf("s.State = %q, want %q", s.State, campaign.StateScheduled)
			case s.ID.Number() != 2:
				t.Errorf("s.ID.Number() = %v, want 2", s.ID.Number())
			}
			h.retryAll() // nothing of the first claim is tried again
			if n := len(h.sendings()); n != 2 {
				t.Errorf("%d sendings", n)
			}
			h.verifyStore()
		})
	}
}

// If a newer file has the name of one that has to return, both are kept and reported.
func TestClaimGivenBackToTakenName(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	d := h.watchedDrop("spring")
	s := &campaign.Sending{Name: d.Name, Inbox: d.Inbox, Files: fileIDs(d)}
	if err := errors.Join(h.in.inboxes.Ensure(h.inbox), h.store.Begin(s, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.in.claims.makeFolder(s); err != nil {
		t.Fatal(err)
	}
	if err := h.in.claims.moveFiles(s); err != nil {
		t.Fatal(err)
	}
	h.put("spring", goodCSV+"1,New\n", "", "")
	if err := h.in.claims.release(s, errChanged); err != nil {
		t.Fatal(err)
	}
	h.work()
	s = h.newest("spring")
	if s.State != campaign.StateRejected {
		t.Fatalf("s.State = %q, want %q\n%+v", s.State, campaign.StateRejected, s)
	}
	if !s.Filed {
		t.Fatal("s.Filed = false, want true")
	}
	if got := h.tree("failed/" + s.FolderName())["spring.csv"]; got != goodCSV {
		t.Errorf("the older CSV is %q", got)
	}
	wantParts(t, h.report(s), "was replaced while the drop was being taken in")
	if got := h.tree("")["spring.csv"]; got != goodCSV+"1,New\n" {
		t.Errorf("the newer CSV is %q", got)
	}
}

// A drop whose inbox can't have its folders makes no record, and is claimed later.
func TestFailedClaimMakesNoRecord(t *testing.T) {
	h := newHarness(t, "", "")
	h.write(filepath.Join(h.inbox, "accepted"), "a file is in the way")
	h.put("spring", goodCSV, goodLayout, goodSidecar)
	for range 5 {
		h.in.Ready(h.watchedDrop("spring"))
		h.work()
		h.clock = h.clock.Add(10 * time.Second)
	}
	if n := len(h.sendings()); n != 0 {
		t.Errorf("%d records\n%s", n, h.log)
	}
	switch waits := h.in.Waits(h.inbox); {
	case len(waits) != 1:
		t.Errorf("len(waits) = %v, want 1: %+v", len(waits), waits)
	case !strings.Contains(waits[0].Reason, "not a directory"):
		t.Errorf("waits[0].Reason = %q, want \"not a directory\" in it", waits[0].Reason)
	}
	if err := os.Remove(filepath.Join(h.inbox, "accepted")); err != nil {
		t.Fatal(err)
	}
	h.clock = h.clock.Add(time.Minute)
	h.in.Ready(h.watchedDrop("spring"))
	h.work()
	if s := h.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("got %+v, want State %q", s, campaign.StateScheduled)
	}
	if waits := h.in.Waits(h.inbox); len(waits) != 0 {
		t.Errorf("%+v", waits)
	}
}

// elsewhere makes accepted/ of the harness's inbox another file system.
func (h *harness) elsewhere() string {
	h.t.Helper()
	other, err := os.MkdirTemp("/dev/shm", "intake-*")
	if err != nil {
		h.t.Skip("no second file system: ", err)
	}
	h.t.Cleanup(func() { os.RemoveAll(other) })
	probe := filepath.Join(h.inbox, "probe")
	h.write(probe, "")
	if err := os.Rename(probe, filepath.Join(other, "probe")); !errors.Is(err, unix.EXDEV) {
		h.t.Skip("no second file system: ", err)
	}
	if err := errors.Join(os.Remove(probe), os.Symlink(other, filepath.Join(h.inbox, folders.Accepted))); err != nil {
		h.t.Fatal(err)
	}
	return other
}

// Between two mounts files are copied and verified, and the operator is warned.
func TestTwoMountsCopy(t *testing.T) {
	h := newHarness(t, "", "")
	other := h.elsewhere()
	if err := h.in.inboxes.Prepare(h.inbox); err == nil || !strings.Contains(err.Error(), "another mount") {
		t.Errorf("%v", err)
	}
	s := h.good("spring")
	if got := h.tree("accepted/" + s.FolderName())["spring.csv"]; got != goodCSV {
		t.Errorf("accepted holds %q", got)
	}
	h.crash()
	h.work()
	h.sendAll(s.ID)
	all := h.tree("done/" + s.FolderName())
	if all["spring.csv"] != goodCSV {
		t.Errorf("all[\"spring.csv\"] = %q, want %q", all["spring.csv"], goodCSV)
	}
	if all["report.json"] == "" {
		t.Error("all[\"report.json\"] is empty")
	}
	if all["results.csv"] == "" {
		t.Error("all[\"results.csv\"] is empty")
	}
	// A link can't be copied: it stays where it is, is reported, and makes no record a scan.
	h.put("link", "", goodLayout, "")
	if err := os.Symlink("/etc/hostname", filepath.Join(h.inbox, "link.csv")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d := h.watchedDrop("link")
		d.Problems = []campaign.Problem{{File: "link.csv", Message: "is a symbolic link"}}
		h.in.Refused(d)
		h.work()
		h.retryAll()
	}
	if n := len(h.sendings()); n != 2 {
		t.Errorf("%d sendings\n%s", n, h.log)
	}
	no := h.newest("link")
	wantParts(t, h.report(no), "link.csv: is a symbolic link", "link.csv: could not be moved and is still in the inbox: remove it there")
	if files := h.tree("failed/" + no.FolderName()); files["link.layout.json"] != goodLayout {
		t.Errorf("%q", files)
	}
	switch left, err := os.ReadDir(other); {
	case err != nil:
		t.Error(err)
	case len(left) != 1:
		t.Errorf("len(left) = %v, want 1", len(left))
	case left[0].Name() != folders.IDFile:
		t.Errorf("left[0].Name() = %q, want %q", left[0].Name(), folders.IDFile)
	}
	h.verifyStore()
}

func TestPrepare(t *testing.T) {
	h := newHarness(t, "", "")
	if err := h.in.inboxes.Prepare(h.inbox); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{folders.Accepted, folders.Done, folders.Failed}, h.names("")); diff != "" {
		t.Error(diff)
	}
	if err := h.in.inboxes.Prepare(filepath.Join(h.inbox, "nowhere")); err == nil {
		t.Error("an inbox that isn't there is prepared")
	}
	h.write(filepath.Join(h.dir, "file"), "")
	if err := h.in.inboxes.Prepare(filepath.Join(h.dir, "file")); err == nil {
		t.Error("a file is prepared")
	}
}
