package main

import (
	"time"

	"campaignd/internal/calendar"
)

const sinceHelp = "only since this `time`: 24h or 7d ago, a date such as 2026-03-14, or a date-time"

// parseSince reads --since: a length of time before now, a date in the view's time zone, or an
// ISO 8601 date-time. "" is the zero time.
func (env *environment) parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if length, err := calendar.ParseLength(text); err == nil {
		return now.Add(-length), nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, env.zone); err == nil {
		return day, nil
	}
	if at, err := calendar.ParseInstant(text, env.zone); err == nil {
		return at, nil
	}
	return time.Time{}, usage(`found --since %q, want a length of time such as "24h" or "7d", a date such as "2026-03-14" or a date-time such as "2026-03-14T09:30:00Z"`, text)
}
