package cluster

import (
	"testing"
	"time"
)

// allSent checks that every message was sent.
func (w *world) allSent(name string, rows int) {
	w.t.Helper()
	if got := w.outcomes(name, time.Minute); got["sent"] != rows || len(got) != 1 {
		w.t.Errorf("%s: outcomes are %v, want %d sent", name, got, rows)
	}
}

func (w *world) noneTwice() {
	w.t.Helper()
	if _, twice := w.hook.count(); twice > 0 {
		w.t.Errorf("%d messages arrived more than once", twice)
	}
}

func TestTwoWorkersSendEveryMessageOnce(t *testing.T) {
	w := newWorld(t, 0)
	w.nats()
	w.hub()
	w.worker(1)
	w.worker(2)
	w.workersRun(2)
	const rows = 300
	w.drop("spring", viaRetry, rows)
	w.drop("autumn", viaHold, rows)
	w.allSent("spring", rows)
	w.allSent("autumn", rows)
	w.noneTwice()
}
