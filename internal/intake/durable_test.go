package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
)

// TestPowerCutBeforeTheFilesWereOnDisk: a claimed CSV that a power cut shortened is refused although
// its rows would pass; old temporary files are removed.
func TestPowerCutBeforeTheFilesWereOnDisk(t *testing.T) {
	for name, left := range map[string]string{"nothing of it": "", "a whole row of it": "phone,first\n34666777888,Ada\n"} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "", "")
			h.put("spring", goodCSV, goodLayout, goodSidecar)
			s, err := h.in.claims.claim(h.watchedDrop("spring"), nil)
			if s == nil || err != nil {
				t.Fatal(s, err)
			}
			if err := os.Truncate(filepath.Join(folders.Of(s), "spring.csv"), int64(len(left))); err != nil {
				t.Fatal(err)
			}
			temps := []string{filepath.Join(h.inbox, ".campaignd-1.tmp"), filepath.Join(folders.Of(s), ".campaignd-2.tmp"),
				filepath.Join(h.inbox, folders.Failed, ".campaignd-3.tmp")}
			for _, temp := range temps {
				h.write(temp, "half")
			}
			h.crash()
			h.work()
			after := h.newest("spring")
			if after.State != campaign.StateRejected {
				t.Fatalf("after.State = %q, want %q", after.State, campaign.StateRejected)
			}
			if len(h.accepted) > 0 {
				t.Fatalf("len(h.accepted) = %v, want 0", len(h.accepted))
			}
			wantParts(t, after.Reason, "spring.csv", "lost power", "upload it again")
			for _, temp := range temps {
				if _, err := os.Lstat(temp); err == nil {
					t.Errorf("%s was left", temp)
				}
			}
		})
	}
}

// TestNothingToClearAway: a missing inbox is logged by the watcher and not a second time here.
func TestNothingToClearAway(t *testing.T) {
	h := newHarness(t, "", "")
	if err := os.Rename(h.inbox, h.inbox+".away"); err != nil {
		t.Fatal(err)
	}
	h.in.removeTemps()
	if said := h.log.String(); strings.Contains(said, "remove temporary files") {
		t.Errorf("it says %s", said)
	}
}
