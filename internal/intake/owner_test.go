package intake

import (
	"os"
	"path/filepath"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
)

// A claimed file belongs to the daemon, so that the partner's account can't change it
// after the check, even through an open descriptor.
func TestFilesAreTakenOver(t *testing.T) {
	h := newHarness(t, "", "")
	h.put("a", goodCSV, goodLayout, goodSidecar)
	for _, ending := range []string{".csv", ".layout.json", ".schedule.json"} {
		if err := os.Chown(filepath.Join(h.inbox, "a"+ending), 65534, 65534); err != nil {
			t.Skip("giving a file away needs root: ", err)
		}
	}
	theirs, err := os.OpenFile(filepath.Join(h.inbox, "a.layout.json"), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	h.in.Ready(h.watchedDrop("a"))
	h.work()
	s := h.newest("a")
	if s == nil || s.State != campaign.StateScheduled {
		t.Fatalf("got %+v, want State %q\n%s", s, campaign.StateScheduled, h.log)
	}
	old, err := theirs.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Files {
		now, err := os.Stat(filepath.Join(folders.Of(s), f.Name))
		switch {
		case err != nil:
			t.Error(err)
		case now.Size() != f.Size:
			t.Errorf("now.Size(): got %v, want %v", now.Size(), f.Size)
		case now.ModTime().UnixNano() != f.ModTime:
			t.Errorf("now.ModTime().UnixNano(): got %v, want %v", now.ModTime().UnixNano(), f.ModTime)
		case now.Mode().Perm() != 0o644:
			t.Errorf("now.Mode().Perm(): got %v, want 0o644", now.Mode().Perm())
		}
		if os.SameFile(old, now) {
			t.Errorf("%s is still the partner's", f.Name)
		}
	}
	if h.tree("accepted/" + s.FolderName())["a.csv"] != goodCSV {
		t.Error("it is not what was dropped")
	}
	h.verifyStore()
}
