package crash

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// outboxKeys counts the deliveries in the outbox by key, and the torn lines.
func (w *world) outboxKeys() (keys map[string]int, torn int) {
	w.t.Helper()
	f, err := os.Open(filepath.Join(w.state, "outbox.jsonl"))
	w.must(err)
	defer f.Close()
	keys = map[string]int{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m struct{ Key string }
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			torn++
			continue
		}
		keys[m.Key]++
	}
	w.must(lines.Err())
	return keys, torn
}

// outbox compares the outbox file with a finished drop. Each kill may tear one line. It returns the number of messages written twice.
func (w *world) outbox(e ended, kills int) (twice int) {
	w.t.Helper()
	keys, torn := w.outboxKeys()
	if torn > kills {
		w.t.Errorf("%d lines are torn after %d kills", torn, kills)
	}
	twice = w.deliveries(e, keys)
	w.t.Logf("%d kills, %d lines torn, %d messages twice, outcomes %v", kills, torn, twice, e.counts)
	if n := e.counts["sent"]; n != len(keys) {
		w.t.Errorf("%d messages have the outcome sent, but the outbox has %d keys", n, len(keys))
	}
	for key := range keys {
		if !strings.HasPrefix(key, e.id+"-") {
			w.t.Errorf("the outbox has a message of another sending: %s", key)
		}
	}
	return twice
}

// out measures progress: it grows with every delivery.
func (w *world) out() int64 {
	n, _ := w.hook.count()
	if info, err := os.Stat(filepath.Join(w.state, "outbox.jsonl")); err == nil {
		return int64(n) + info.Size()
	}
	return int64(n)
}

// describe summarizes a finished drop in one line.
func (e ended) describe() string {
	return fmt.Sprintf("%s %s %s %v", e.place, e.state, e.reason, e.counts)
}
