package crash

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A sending window closes while four requests are with a slow receiver and the next ones are prepared.
// Those four end; nothing else leaves, and the status says what it waits for.
func TestWindowClosesWhileAReceiverIsSlow(t *testing.T) {
	long(t) // a window closes at a full minute
	now := time.Now().UTC()
	if now.Second() > 40 { // it needs some seconds before that
		now = now.Add(20 * time.Second)
	}
	closes := now.Truncate(time.Minute).Add(time.Minute)
	last := closes.Add(-time.Minute)

	release := make(chan struct{})
	var arrived atomic.Int64
	hook := newScripted(t, func(string) int {
		arrived.Add(1)
		<-release
		return http.StatusOK
	})
	hook.Start()
	w := newMisbehaved(t, hook.URL, "concurrency = 4\ntimeout = \"2m\"",
		fmt.Sprintf("windows = [\"0-%d %d * * *\"]", last.Minute(), last.Hour()))
	d := w.drop("spring", viaHook, 40, 0, "")
	w.until(time.Until(closes), "four requests are with the receiver", func() bool { return arrived.Load() == 4 })
	w.until(time.Minute+time.Until(closes), "the window has closed", func() bool { return !time.Now().Before(closes) })
	close(release)
	w.until(10*time.Second, "the four answers are recorded", func() bool { return w.show(d).Messages["sent"] == 4 })
	w.until(10*time.Second, "waiting for the window", func() bool { return strings.Contains(w.show(d).WaitsFor.Reason, "windows are closed") })
	if n := arrived.Load(); n != 4 {
		t.Errorf("%d requests arrived; want the 4 that had left before the window closed", n)
	}
	w.do("cancel", "spring")
	w.ended(10*time.Second, d)
	if e := w.balance(d); e.counts["sent"] != 4 || e.counts["canceled"] != 36 {
		t.Errorf("outcomes %v; want 4 sent and 36 canceled", e.counts)
	}
}
