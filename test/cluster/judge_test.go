package cluster

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// judge waits for the end of a campaign. Every message is sent, or in doubt, and arrived accordingly:
// under one key. At most unknown messages are in doubt, and at most doubles arrived more than once.
func (w *world) judge(name string, rows, unknown, doubles int) {
	w.t.Helper()
	results := w.results(filepath.Join(w.dir, "inbox", "done", name+".2*"), 3*time.Minute)
	if len(results) != rows {
		w.t.Errorf("%s: results.csv has %d messages, want %d", name, len(results), rows)
	}
	counts, seen, missing, twice := map[string]int{}, map[string]bool{}, 0, 0
	for _, line := range results {
		counts[line["outcome"]]++
		if seen[line["contactCode"]] {
			w.t.Errorf("%s: results.csv has %s twice", name, line["contactCode"])
		}
		seen[line["contactCode"]] = true
		at, err := strconv.Atoi(line["line"])
		w.must(err)
		times, keys := w.hook.deliveries(fmt.Sprintf("%s %d", name, at-2))
		if times == 0 && line["outcome"] == "sent" {
			missing++
		}
		if times > 1 {
			twice++
		}
		if keys > 1 {
			w.t.Errorf("%s: the message of line %d arrived under %d keys", name, at, keys)
		}
	}
	w.t.Logf("%s: %v, %d twice", name, counts, twice)
	if counts["sent"]+counts["unknown"] != rows {
		w.t.Errorf("%s: outcomes are %v, want %d sent or unknown", name, counts, rows)
	}
	if missing > 0 {
		w.t.Errorf("%s: %d messages are called sent and have not arrived", name, missing)
	}
	if twice > doubles {
		w.t.Errorf("%s: %d messages arrived more than once, want at most %d", name, twice, doubles)
	}
	if counts["unknown"] > unknown {
		w.t.Errorf("%s: %d messages are unknown, want at most %d", name, counts["unknown"], unknown)
	}
	if w.t.Failed() {
		w.t.Log(w.logs())
	}
}
