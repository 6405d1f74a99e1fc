package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStatusOfManySlices: tens of thousands of slices are summed up by the hour, so that replacing
// the status every 5s keeps no disk busy.
func TestStatusOfManySlices(t *testing.T) {
	replaced := func(t *testing.T, rows int) (times int) {
		scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1s", capacity = 1`), func(t *testing.T, w *harness) {
			w.start()
			w.accept("sending", rows)
			before := stat(w, "sending", "status.json")
			for range 60 {
				w.wait(time.Second)
				if now := stat(w, "sending", "status.json"); !os.SameFile(before, now) {
					before, times = now, times+1
				}
			}
		})
		return times
	}
	if n := replaced(t, 45_000); n < 11 || n > 14 {
		t.Errorf("the status of 45,000 slices is written %d times in a minute; want every 5s", n)
	}
}

// stat returns the identity of a file in a drop's folder.
func stat(w *harness, name, file string) os.FileInfo {
	w.t.Helper()
	info, err := os.Stat(filepath.Join(w.folder(name), file))
	w.check(err)
	return info
}
