package document

import (
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// MaxAhead is how many calendar months ahead a sending may be scheduled (SPEC 5).
const MaxAhead = 3

// When is the time T the sidecar asks for, in UTC: now without scheduleAt and
// delay. now is the instant of acceptance, loc the application's zone (nil if it
// has none), grace how far in the past still counts as now. T is zero with
// problems, and where ParseSidecar had a problem with both being given.
func (s *Sidecar) When(now time.Time, loc *time.Location, grace time.Duration) (T time.Time, problems campaign.Problems, warnings []campaign.Problem) {
	zone := loc
	if zone == nil {
		zone = time.UTC
	}
	latest := calendar.AddMonths(now, MaxAhead, zone)
	switch {
	case s.ScheduleAt != "" && s.Delay != "": // ParseSidecar has said so: no T and no second word
	case s.ScheduleAt != "":
		at := s.scheduleAt
		t, err := calendar.ParseInstant(s.ScheduleAt, loc)
		switch {
		case err != nil:
			problems.Addf(s.File, at.line, at.column, "scheduleAt", "%v", err)
		case t.Before(now.Add(-grace)):
			problems.Addf(s.File, at.line, at.column, "scheduleAt", "%s is in the past (it is %s now), want a time from now to %s",
				quote(s.ScheduleAt), show(now, zone), show(latest, zone))
		case t.Before(now):
			T = now
			warnings = append(warnings, campaign.Problem{File: s.File, Line: at.line, Column: at.column, Field: "scheduleAt",
				Message: quote(s.ScheduleAt) + " has just passed; sent at once"})
		case t.After(latest):
			problems.Addf(s.File, at.line, at.column, "scheduleAt", "%s is too far ahead, want a time up to %s (%d months from now)",
				quote(s.ScheduleAt), show(latest, zone), MaxAhead)
		default:
			T = t
		}
	case s.Delay != "":
		at := s.delay
		d, err := calendar.ParseDuration(s.Delay)
		if err != nil {
			problems.Addf(s.File, at.line, at.column, "delay", "%v", err)
			break
		}
		switch t := d.AddTo(now, zone); {
		case !t.After(now):
			problems.Addf(s.File, at.line, at.column, "delay", "%s is no time at all, want a positive duration, e.g. \"PT15M\"; leave the key out to send at once", quote(s.Delay))
		case t.After(latest):
			problems.Addf(s.File, at.line, at.column, "delay", "%s is too long, want at most %d months (up to %s)",
				quote(s.Delay), MaxAhead, show(latest, zone))
		default:
			T = t
		}
	default:
		T = now
	}
	if !T.IsZero() {
		T = T.UTC()
	}
	return T, problems, warnings
}

// show is an instant for a person in the application's zone.
func show(t time.Time, zone *time.Location) string {
	return t.In(zone).Format(time.RFC3339)
}
