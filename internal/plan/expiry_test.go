package plan

import (
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// Our own rules delay the expiry of unsliced messages by seven days at most (docs/contract.md 8).
func TestOurOwnRulesDelayTheExpiryForEver(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) // a Monday
	mornings, err := calendar.ParseWindows([]string{"* 9-11 * * MON-FRI"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lateness, blocked time.Duration
		windows           *calendar.Windows
		want              time.Duration // after the start
	}{
		"nothing prevents sending":          {lateness: 2 * time.Hour, want: 2 * time.Hour},
		"no max_lateness":                   {want: day},
		"a pause":                           {lateness: day, blocked: 5 * time.Hour, want: day + 5*time.Hour},
		"a pause of seven days":             {lateness: day, blocked: 7 * day, want: 8 * day},
		"a pause of eight days":             {lateness: day, blocked: 8 * day, want: 8 * day},
		"closed windows":                    {lateness: 4 * time.Hour, windows: mornings, want: day + time.Hour},
		"closed windows and a pause":        {lateness: 4 * time.Hour, blocked: 2 * time.Hour, windows: mornings, want: day + 3*time.Hour},
		"windows that are closed too long":  {lateness: 24 * time.Hour, windows: mornings, want: 8 * day},
		"closed windows and a longer pause": {lateness: 4 * time.Hour, blocked: 7 * day, windows: mornings, want: 7*day + 4*time.Hour},
	} {
		s := &campaign.Sending{ScheduledAt: start, MaxLateness: c.lateness, Blocked: c.blocked}
		at, latest := Expiry(s, []campaign.Slice{{Start: start}}, c.windows)
		if got := at.Sub(start); got != c.want {
			t.Errorf("%s: it expires after %s, want %s", name, got, c.want)
		}
		if at.After(latest) {
			t.Errorf("%s: it expires at %s, later than the latest time %s", name, at, latest)
		}
	}
}
