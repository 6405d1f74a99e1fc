package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStatusOfManySlices: status.json is replaced every 5s, but less often with tens of
// thousands of slices, so that it keeps neither a core nor a disk busy.
func TestStatusOfManySlices(t *testing.T) {
	replaced := func(t *testing.T, rows int) (times int) {
		scenario(t, at(9, 0), shop(1, "", `enabled = true, slot = "1s", capacity = 1`), func(t *testing.T, w *harness) {
			w.start()
			w.accept("sending", rows)
			before := stat(w, "sending")
			for range 60 {
				w.wait(time.Second)
				if now := stat(w, "sending"); !os.SameFile(before, now) {
					before, times = now, times+1
				}
			}
		})
		return times
	}
	if n := replaced(t, 3_000); n < 11 || n > 14 {
		t.Errorf("a plan of 3,000 slices is written %d times in a minute, want every 5s", n)
	}
	if n := replaced(t, 45_000); n > 2 {
		t.Errorf("a plan of 45,000 slices is written %d times in a minute, want about one", n)
	}
}

func stat(w *harness, name string) os.FileInfo {
	w.t.Helper()
	info, err := os.Stat(filepath.Join(w.folder(name), "status.json"))
	w.check(err)
	return info
}
