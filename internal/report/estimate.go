package report

import (
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// estimate returns the probable time of the last outcome, at the latest the expiry, or why nobody knows it.
// It is the end of the last slot. Without slots it is computed from the average rate since the start, or
// before the first message from the channel's rate.
func estimate(s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts, now time.Time, o Outlook) (end time.Time, unknown string) {
	done := counts.Final()
	if done >= s.Planned {
		return now, ""
	}
	left := s.Planned - done
	if contacts := recipientsOf(s, left); o.Daily > 0 && contacts > uint64(o.Daily) {
		return time.Time{}, fmt.Sprintf("daily_contacts lets at most %s go in 24 hours, and %s are left", display.Amount(o.Daily, "contact"), display.Number(contacts))
	}
	from := now
	if s.ScheduledAt.After(now) {
		from = s.ScheduledAt
	}
	atRate := func(each float64) (time.Time, string) {
		seconds := each * float64(left)
		if seconds > (100 * 365 * 24 * time.Hour).Seconds() {
			return time.Time{}, "at its rate it takes more than 100 years"
		}
		end, enough := o.Windows.OpenFor(from, time.Duration(seconds*float64(time.Second)), from.AddDate(1, 0, 0))
		if !enough {
			return time.Time{}, "the sending windows aren't open long enough within a year"
		}
		if !o.Expiry.IsZero() && end.After(o.Expiry) {
			end = o.Expiry // the rest expires then
		}
		return end, ""
	}
	last := len(slices) - 1
	if last >= 0 && slices[last].Sliced() && slices[last].End.After(now) {
		if o.Rate > 0 {
			if end, unknown := atRate(1 / o.Rate); unknown != "" || end.After(slices[last].End) {
				return time.Time{}, fmt.Sprintf("at %g messages a second its slots are too short, and the rest is planned again", o.Rate)
			}
		}
		return slices[last].End, ""
	}
	elapsed := now.Sub(s.StartedAt) - s.Blocked
	switch {
	case !s.StartedAt.IsZero() && done > 0 && elapsed > 0 && !resent(s, slices):
		return atRate(elapsed.Seconds() / float64(done))
	case o.Rate > 0:
		return atRate(1 / o.Rate)
	case s.State == campaign.StateScheduled:
		return atRate(0)
	}
	return time.Time{}, "nobody knows its rate yet"
}

// resent reports whether messages were sent again after the others: the average rate since the start says nothing
// about them.
func resent(s *campaign.Sending, slices []campaign.Slice) bool {
	for _, one := range slices {
		if !one.Sliced() && one.Start.After(s.StartedAt) {
			return true
		}
	}
	return false
}

// recipientsOf returns how many recipients n of the planned messages go to, rounded up.
func recipientsOf(s *campaign.Sending, n uint64) uint64 {
	if s.Planned == 0 {
		return 0
	}
	return (n*uint64(s.Rows.Accepted) + s.Planned - 1) / s.Planned
}
