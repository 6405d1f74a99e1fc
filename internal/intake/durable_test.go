package intake

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// TestPowerCutBeforeTheFilesWereOnDisk: what a power cut left of a claimed CSV is refused, in words,
// though its rows would pass; and temporary files of before are cleared away.
func TestPowerCutBeforeTheFilesWereOnDisk(t *testing.T) {
	for name, left := range map[string]string{"nothing of it": "", "a whole row of it": "phone,first\n34666777888,Ada\n"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "", "")
			r.put("spring", goodCSV, goodLayout, goodSidecar)
			s, err := r.in.claim(r.seen("spring"), nil)
			if s == nil || err != nil {
				t.Fatal(s, err)
			}
			if err := os.Truncate(filepath.Join(folder(s), "spring.csv"), int64(len(left))); err != nil {
				t.Fatal(err)
			}
			temps := []string{filepath.Join(r.inbox, ".campaignd-1.tmp"), filepath.Join(folder(s), ".campaignd-2.tmp"),
				filepath.Join(r.inbox, failedFolder, ".campaignd-3.tmp")}
			for _, temp := range temps {
				r.write(temp, "half")
			}
			r.crash()
			r.work()
			after := r.newest("spring")
			if after.State != campaign.StateRejected || len(r.accepted) > 0 {
				t.Fatalf("it is %s", after.State)
			}
			has(t, after.Reason, "spring.csv", "lost power", "drop it again")
			for _, temp := range temps {
				if _, err := os.Lstat(temp); err == nil {
					t.Errorf("%s was left", temp)
				}
			}
		})
	}
}

// TestNothingToClearAway: an inbox that is gone is the watcher's news, not ours too.
func TestNothingToClearAway(t *testing.T) {
	r := newRig(t, "", "")
	if err := os.Rename(r.inbox, r.inbox+".away"); err != nil {
		t.Fatal(err)
	}
	r.in.removeTemps()
	if said := r.log.String(); strings.Contains(said, "remove temporary files") {
		t.Errorf("it says %s", said)
	}
}
