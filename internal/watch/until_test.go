package watch

import (
	"testing"
	"time"
)

// Notes had UTC while the reports of the same drop had the application's time zone.
func TestTimesOfNotesAreInTheApplicationsZone(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for want, zone := range map[string]*time.Location{
		"2026-03-02 10:00 UTC":    nil,
		"2026-03-02 11:00 +01:00": time.FixedZone("CET", 3600),
	} {
		if got := Until(at, zone); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
