package document

import (
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// When returns the scheduled time T in UTC: now without scheduleAt and delay. now is
// the instant of acceptance, loc the application's zone (nil if it has none). A time
// in the past by at most grace counts as now. T is zero with problems, and if both
// keys are present, which ParseSidecar reports.
func (s *Sidecar) When(now time.Time, loc *time.Location, grace time.Duration) (T time.Time, problems campaign.Problems, warnings []campaign.Problem) {
	zone := loc
	if zone == nil {
		zone = time.UTC
	}
	latest := calendar.AddMonths(now, campaign.MonthsAhead, zone)
	switch {
	case s.ScheduleAt != "" && s.Delay != "": // ParseSidecar has reported it: no T; each may have its own fault too
		if _, err := calendar.ParseInstant(s.ScheduleAt, loc); err != nil {
			s.wrong(&problems, "scheduleAt", "%v", err)
		}
		if _, err := calendar.ParseDuration(s.Delay); err != nil {
			s.wrong(&problems, "delay", "%v", err)
		}
	case s.ScheduleAt != "":
		t, err := calendar.ParseInstant(s.ScheduleAt, loc)
		switch {
		case err != nil:
			s.wrong(&problems, "scheduleAt", "%v", err)
		case t.Before(now.Add(-grace)):
			s.wrong(&problems, "scheduleAt", "%s is in the past (it is %s now), want a time from now to %s",
				quote(s.ScheduleAt), formatTime(now, zone), formatTime(latest, zone))
		case t.Before(now):
			T = now
			line, column := s.Place("scheduleAt")
			warnings = append(warnings, campaign.Problem{Code: "time-passed", File: s.FileOf("scheduleAt"), Line: line, Column: column, Field: "scheduleAt",
				Message: quote(s.ScheduleAt) + " has just passed; sent at once"})
		case t.After(latest):
			s.wrong(&problems, "scheduleAt", "%s is too far ahead, want a time up to %s (%d months from now)",
				quote(s.ScheduleAt), formatTime(latest, zone), campaign.MonthsAhead)
		default:
			T = t
		}
	case s.Delay != "":
		d, err := calendar.ParseDuration(s.Delay)
		if err != nil {
			s.wrong(&problems, "delay", "%v", err)
			break
		}
		switch t := d.AddTo(now, zone); {
		case !t.After(now):
			s.wrong(&problems, "delay", "%s is zero, want a positive duration, e.g. \"PT15M\"; leave the key out to send at once", quote(s.Delay))
		case t.After(latest):
			s.wrong(&problems, "delay", "%s is too long, want at most %d months (up to %s)",
				quote(s.Delay), campaign.MonthsAhead, formatTime(latest, zone))
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

// wrong reports a problem with the value of key.
func (s *Sidecar) wrong(problems *campaign.Problems, key, format string, args ...any) {
	line, column := s.Place(key)
	problems.AddCode("time-wrong", s.FileOf(key), line, column, key, format, args...)
}

// formatTime formats an instant for a person in the application's zone.
func formatTime(t time.Time, zone *time.Location) string {
	return t.In(zone).Format(time.RFC3339)
}
