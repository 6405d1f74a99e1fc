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
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

func TestClaimKeepsTheFilesAsTheyWere(t *testing.T) {
	r := newRig(t, "", "")
	csv := "\xef\xbb\xbfphone;first\r\n34666777888;Ada\r\n"
	r.write(filepath.Join(r.inbox, "README.md"), "left alone")
	r.put("spring", csv, goodLayout, goodSidecar)
	if err := os.Rename(filepath.Join(r.inbox, "spring.csv"), filepath.Join(r.inbox, "spring.CSV")); err != nil {
		t.Fatal(err)
	}
	d := r.seen("spring")
	info, err := os.Lstat(filepath.Join(r.inbox, "spring.CSV"))
	if err != nil {
		t.Fatal(err)
	}
	d.CSV = &watch.File{Name: "spring.CSV", ID: safeio.FileID(info)}
	r.in.Ready(d)
	r.work()
	s := r.newest("spring")
	r.sendAll(s.ID)
	all := r.tree("done/spring." + string(s.ID))
	if all["spring.CSV"] != csv || all["spring.layout.json"] != goodLayout || all["spring.schedule.json"] != goodSidecar {
		t.Errorf("changed: %q", all)
	}
	if diff := cmp.Diff([]string{"README.md", "accepted", "done", "failed"}, r.names("")); diff != "" {
		t.Error(diff)
	}
}

// A store that was made anew counts from 1 and finds the old one's folders.
func TestClaimPassesByTakenFolders(t *testing.T) {
	r := newRig(t, "", "")
	for i, place := range []string{acceptedFolder, doneFolder, failedFolder} {
		id := campaign.NewID(r.clock, uint64(i+1))
		if err := os.MkdirAll(filepath.Join(r.inbox, place, "spring."+string(id)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.good("spring"); s.ID.Number() != 4 {
		t.Errorf("it became %s", s.ID)
	}
	for _, s := range r.sendings()[1:] {
		if !isVoid(s) || !s.Filed {
			t.Errorf("%+v", s)
		}
	}
	r.balanced()
}

// A file that changes between the look and the claim sends the others back.
func TestClaimGivenBack(t *testing.T) {
	for name, change := range map[string]func(layout string) error{
		"written": func(layout string) error { return os.WriteFile(layout, []byte(goodLayout+"\n"), 0o644) },
		"removed": os.Remove,
		"replaced": func(layout string) error {
			return errors.Join(os.WriteFile(layout+".tmp", []byte(goodLayout), 0o644), os.Rename(layout+".tmp", layout))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			r.put("spring", goodCSV, goodLayout, goodSidecar)
			d := r.seen("spring")
			if err := change(filepath.Join(r.inbox, "spring.layout.json")); err != nil {
				t.Fatal(err)
			}
			s, err := r.in.claim(d, nil)
			if s != nil || err != nil {
				t.Fatal(s, err)
			}
			if got := r.tree("")["spring.csv"]; got != goodCSV {
				t.Error("the CSV is not back")
			}
			if left := r.names(acceptedFolder); len(left) > 0 {
				t.Error("left in accepted:", left)
			}
			r.put("spring", goodCSV, goodLayout, goodSidecar)
			r.in.Ready(r.seen("spring"))
			r.work()
			if s := r.newest("spring"); s == nil || s.State != campaign.StateScheduled || s.ID.Number() != 2 {
				t.Errorf("%+v", s)
			}
			r.again() // nothing of the first claim is tried again
			if n := len(r.sendings()); n != 2 {
				t.Errorf("%d sendings", n)
			}
			r.balanced()
		})
	}
}

// Where a newer file took the name of one that is to go back, both are kept and the
// partner is told.
func TestClaimGivenBackToTakenName(t *testing.T) {
	r := newRig(t, "", "")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	d := r.seen("spring")
	s := &campaign.Sending{Name: d.Name, Inbox: d.Inbox, Files: fileIDs(d)}
	if err := errors.Join(r.store.Begin(s), MakeFolders(r.inbox)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.in.makeFolder(s); err != nil {
		t.Fatal(err)
	}
	if err := r.in.moveFiles(s); err != nil {
		t.Fatal(err)
	}
	r.put("spring", goodCSV+"1,New\n", "", "")
	if err := r.in.giveBack(s, errChanged); err != nil {
		t.Fatal(err)
	}
	r.work()
	s = r.newest("spring")
	if s.State != campaign.StateRejected || !s.Filed {
		t.Fatalf("%+v", s)
	}
	if got := r.tree("failed/" + s.FolderName())["spring.csv"]; got != goodCSV {
		t.Errorf("the older CSV is %q", got)
	}
	has(t, r.report(s), "another file of this name came while the drop was being taken in")
	if got := r.tree("")["spring.csv"]; got != goodCSV+"1,New\n" {
		t.Errorf("the newer CSV is %q", got)
	}
}

// TestPitfall08ErrorIsNotMine: a claim that fails for the machine's reasons makes one
// record, not one a scan, and is finished when it can be.
func TestPitfall08ErrorIsNotMine(t *testing.T) {
	r := newRig(t, "", "")
	r.write(filepath.Join(r.inbox, "accepted"), "a file is in the way")
	r.put("spring", goodCSV, goodLayout, goodSidecar)
	for range 5 {
		r.in.Ready(r.seen("spring"))
		r.work()
		r.clock = r.clock.Add(10 * time.Second)
	}
	if n := len(r.sendings()); n != 1 || !isVoid(r.sendings()[0]) {
		t.Errorf("%d records\n%s", n, r.log)
	}
	if waits := r.in.Waits(r.inbox); len(waits) != 1 || !strings.Contains(waits[0].Reason, "folder can't be made") {
		t.Errorf("%+v", waits)
	}
	if err := os.Remove(filepath.Join(r.inbox, "accepted")); err != nil {
		t.Fatal(err)
	}
	r.clock = r.clock.Add(time.Minute)
	r.in.Ready(r.seen("spring"))
	r.work()
	if s := r.newest("spring"); s == nil || s.State != campaign.StateScheduled {
		t.Errorf("%+v", s)
	}
	if waits := r.in.Waits(r.inbox); len(waits) != 0 {
		t.Errorf("%+v", waits)
	}
}

// elsewhere makes accepted/ of the rig's inbox another file system.
func (r *rig) elsewhere() string {
	r.t.Helper()
	other, err := os.MkdirTemp("/dev/shm", "intake-*")
	if err != nil {
		r.t.Skip("no second file system: ", err)
	}
	r.t.Cleanup(func() { os.RemoveAll(other) })
	probe := filepath.Join(r.inbox, "probe")
	r.write(probe, "")
	if err := os.Rename(probe, filepath.Join(other, "probe")); !errors.Is(err, unix.EXDEV) {
		r.t.Skip("no second file system: ", err)
	}
	if err := errors.Join(os.Remove(probe), os.Symlink(other, filepath.Join(r.inbox, acceptedFolder))); err != nil {
		r.t.Fatal(err)
	}
	return other
}

// TestPitfall09TwoMounts: where a rename can't be had files are copied and checked,
// and the operator is told.
func TestPitfall09TwoMounts(t *testing.T) {
	r := newRig(t, "", "")
	other := r.elsewhere()
	if err := Prepare(r.inbox); err == nil || !strings.Contains(err.Error(), "another mount") {
		t.Errorf("%v", err)
	}
	s := r.good("spring")
	if got := r.tree("accepted/" + s.FolderName())["spring.csv"]; got != goodCSV {
		t.Errorf("accepted holds %q", got)
	}
	r.crash()
	r.work()
	r.sendAll(s.ID)
	all := r.tree("done/" + s.FolderName())
	if all["spring.csv"] != goodCSV || all["report.json"] == "" || all["results.csv"] == "" {
		t.Errorf("%q", all)
	}
	// A link can't be copied: it stays where it is, is reported, and makes no record a scan.
	r.put("link", "", goodLayout, "")
	if err := os.Symlink("/etc/hostname", filepath.Join(r.inbox, "link.csv")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d := r.seen("link")
		d.Trouble = []campaign.Problem{{File: "link.csv", Message: "is a symbolic link"}}
		r.in.Refused(d)
		r.work()
		r.again()
	}
	if n := len(r.sendings()); n != 2 {
		t.Errorf("%d sendings\n%s", n, r.log)
	}
	no := r.newest("link")
	has(t, r.report(no), "link.csv: is a symbolic link", "link.csv: could not be moved and is still in the inbox: remove it there")
	if files := r.tree("failed/" + no.FolderName()); files["link.layout.json"] != goodLayout {
		t.Errorf("%q", files)
	}
	if left, err := os.ReadDir(other); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	r.balanced()
}

func TestPrepare(t *testing.T) {
	r := newRig(t, "", "")
	if err := Prepare(r.inbox); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{acceptedFolder, doneFolder, failedFolder}, r.names("")); diff != "" {
		t.Error(diff)
	}
	if err := Prepare(filepath.Join(r.inbox, "nowhere")); err == nil {
		t.Error("an inbox that isn't there is prepared")
	}
	r.write(filepath.Join(r.dir, "file"), "")
	if err := Prepare(filepath.Join(r.dir, "file")); err == nil {
		t.Error("a file is prepared")
	}
}
