package daemon

import (
	"testing"
	"time"
)

// What is cut off at a stop is recorded within stop_timeout too, and 0s doesn't mean the default.
func TestCutAfter(t *testing.T) {
	for stop, want := range map[time.Duration]time.Duration{10 * time.Second: 9500 * time.Millisecond, time.Hour: 57 * time.Minute, 0: 1} {
		if got := abortAfter(stop); got != want {
			t.Errorf("cutAfter(%v) is %v, want %v", stop, got, want)
		}
	}
}
