// Package calendar is wall-clock arithmetic: cron schedules, sending windows,
// ISO 8601 durations and date-times, and lengths of time as the configuration
// writes them. It is pure: every function takes the instants it works on.
package calendar

import "time"

// Schedule is a guarded cron schedule.
type Schedule struct{}

// ParseSchedule reads a five-field cron expression or "@every 10s".
func ParseSchedule(text string, loc *time.Location) (Schedule, error) { panic("being built") }

// Next is the first instant after after at which the schedule fires.
func (s Schedule) Next(after time.Time) time.Time { panic("being built") }

// Windows are an application's sending windows. A nil *Windows is always open.
type Windows struct{}

// ParseWindows reads cron expressions whose matching minutes are open.
func ParseWindows(texts []string, loc *time.Location) (*Windows, error) { panic("being built") }

// Open reports whether the minute that holds at is open.
func (w *Windows) Open(at time.Time) bool { panic("being built") }

// OpenThrough reports whether every instant of [from, to) is open.
func (w *Windows) OpenThrough(from, to time.Time) bool { panic("being built") }

// NextOpening is at itself if open then, else the next instant that is; zero if there is none within a year.
func (w *Windows) NextOpening(at time.Time) time.Time { panic("being built") }

// NextClosing is the first instant after at that is not open; zero if there is none within a year.
func (w *Windows) NextClosing(at time.Time) time.Time { panic("being built") }

// Duration is an ISO 8601 duration whose years to days follow the calendar (SPEC 5, delay).
type Duration struct{}

// ParseDuration reads one under a strict grammar. The error is fit for a partner.
func ParseDuration(text string) (Duration, error) { panic("being built") }

// AddTo adds the calendar part in loc (nil: UTC), then the time part exactly.
func (d Duration) AddTo(t time.Time, loc *time.Location) time.Time { panic("being built") }

// ParseInstant reads an ISO 8601 date-time with offset or Z, or without one in
// loc. It is an error if there is no offset and loc is nil, or the local time doesn't exist or exists twice.
func ParseInstant(text string, loc *time.Location) (time.Time, error) { panic("being built") }

// AddMonths adds n calendar months in loc; a day that the month lacks becomes its last.
func AddMonths(t time.Time, n int, loc *time.Location) time.Time { panic("being built") }

// ParseLength reads a length of time as the configuration writes it: "250ms", "2s", "15m", "24h", "90d".
func ParseLength(text string) (time.Duration, error) { panic("being built") }

// FormatLength writes a length so that ParseLength reads it back, in the largest unit that fits.
func FormatLength(d time.Duration) string { panic("being built") }
