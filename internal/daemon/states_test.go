package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"campaignd/internal/campaign"
)

// TestDropsAndRowsAreCounted: each state that a drop reaches counts once, whatever else
// changes, and not again after a restart.
func TestDropsAndRowsAreCounted(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", tenMinutes), func(t *testing.T, w *harness) {
		w.start()
		w.accept("counted", 250, "scheduleAt", at(12, 0))
		w.drop("wrong", 5, "campaignId", 99)
		w.until(at(11, 0))
		w.metrics(`
campaignd_drops_total{state="canceled"} 0
campaignd_drops_total{state="checking"} 2
campaignd_drops_total{state="completed"} 0
campaignd_drops_total{state="held"} 0
campaignd_drops_total{state="paused"} 0
campaignd_drops_total{state="rejected"} 1
campaignd_drops_total{state="scheduled"} 1
campaignd_drops_total{state="sending"} 0
`)
		w.shutdown()
		w.start()
		w.control("counted", w.running.send.Pause)
		w.control("counted", w.running.send.Resume)
		w.until(at(13, 0))
		w.state("counted", campaign.StateCompleted)
		w.metrics(`
campaignd_drops_total{state="canceled"} 0
campaignd_drops_total{state="checking"} 0
campaignd_drops_total{state="completed"} 1
campaignd_drops_total{state="held"} 0
campaignd_drops_total{state="paused"} 1
campaignd_drops_total{state="rejected"} 0
campaignd_drops_total{state="scheduled"} 1
campaignd_drops_total{state="sending"} 1
`)
		pace, err := w.running.Throughput(t.Context(), w.id("counted"))
		w.check(err)
		sent := uint64(0)
		for _, s := range pace.Steps {
			sent += s.Sent
		}
		switch {
		case sent != 250:
			t.Errorf("sent: got %v, want 250", sent)
		case pace.Start.Before(at(12, 0)):
			t.Errorf("pace.Start: got %v, want a time not before %v", pace.Start, at(12, 0))
		case pace.Start.After(at(12, 1)):
			t.Errorf("pace.Start: got %v, want a time not after %v", pace.Start, at(12, 1))
		case time.Duration(len(pace.Steps))*pace.Step < 20*time.Minute:
			t.Errorf("time.Duration(len(pace.Steps))*pace.Step: got %v, want at least %v", time.Duration(len(pace.Steps))*pace.Step, 20*time.Minute)
		}
		if _, err := w.running.Throughput(t.Context(), "20260101-000099"); err == nil {
			t.Error("there is a pace of nothing")
		}
	})
}

func (w *harness) metrics(want string) {
	w.t.Helper()
	want = "# HELP campaignd_drops_total Drops, counted at each state that they reach.\n# TYPE campaignd_drops_total counter" + want
	if err := testutil.GatherAndCompare(w.running.registry, strings.NewReader(want), "campaignd_drops_total"); err != nil {
		w.t.Error(err)
	}
}
