package daemon

import (
	"testing"
	"time"
)

// Attempts aborted at a stop are recorded within stop_timeout too, and 0s doesn't mean the default.
func TestCutAfter(t *testing.T) {
	for stop, want := range map[time.Duration]time.Duration{10 * time.Second: 9500 * time.Millisecond, time.Hour: 57 * time.Minute, 0: 1} {
		if got := abortAfter(stop); got != want {
			t.Errorf("cutAfter(%v) is %v, want %v", stop, got, want)
		}
	}
}
