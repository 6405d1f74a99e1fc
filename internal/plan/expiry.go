package plan

import (
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// defaultMaxLateness applies to a sending that was stored without max_lateness.
const defaultMaxLateness = 24 * time.Hour

// Expiry returns when everything unsent of a sending expires (docs/contract.md 8), or the zero time
// if it has no slices. Unsliced recipients expire MaxLateness after their start, not counting closed
// windows and the time for which the sending was blocked so far. Slices expire at T + 48h, or at the end
// of the last slot that began before.
//
// latest is until when more blocked time may delay it; zero: not at all. Without windows, the result is the
// earliest possible expiry.
func Expiry(sending *campaign.Sending, slices []campaign.Slice, windows *calendar.Windows) (at, latest time.Time) {
	late := sending.MaxLateness
	if late <= 0 {
		late = defaultMaxLateness
	}
	for i := range slices {
		s := &slices[i]
		var end time.Time
		if s.Sliced() {
			end = sending.ScheduledAt.Add(Horizon)
			if s.End.After(end) {
				end = s.End
			}
		} else {
			latest = s.Start.Add(late + campaign.MaxBlocked)
			end, _ = windows.OpenFor(s.Start, late, latest)
			if end = end.Add(sending.Blocked); end.After(latest) {
				end = latest
			}
		}
		if end.After(at) {
			at = end
		}
	}
	return at, latest
}
