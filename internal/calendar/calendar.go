// Package calendar is wall-clock arithmetic: cron schedules, sending windows,
// ISO 8601 durations and date-times, and lengths of time as the configuration
// writes them. It is pure: every function takes the instants it works on. Nothing
// here reads a clock, sleeps or starts anything.
//
// Cron texts are read by robfig/cron and durations by sosodev/duration, each
// after a stricter grammar of this package, which accepts only texts that the
// module reads as people mean them. Firing times and open minutes are computed
// here, from the parsed fields, because local time has gaps and repeated hours:
//
//   - A window is open in every minute whose local time matches, so a
//     repeated hour is open twice and a skipped one not at all.
//   - A schedule that names hours fires once for each local minute it names:
//     in a repeated hour at the first of the two, for a skipped minute at the
//     end of the gap. A schedule for every hour follows elapsed time instead.
//   - A duration's years to days are added to the local date. Where that local
//     time is skipped, it moves on by the length of the gap (as in RFC 5545);
//     where it exists twice, it keeps the offset it came from, else it is the first.
//   - A date-time without an offset that is skipped or exists twice is an error.
//
// It fails only on texts, with errors for the person who wrote them: the fault
// and its correction. Zone names need zone data; the
// binary embeds it by importing time/tzdata in package main.
package calendar

import (
	"fmt"
	"time"
)

// secondsADay is a day's length in wall seconds: wall time has no gaps.
const secondsADay = 24 * 60 * 60

// LoadZone returns a time zone by its name in the IANA database, e.g.
// "Europe/Madrid" or "UTC". Unlike time.LoadLocation it refuses "" and
// "Local", which would mean another zone on another machine.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf(`time zone %q is not a name: write one like "Europe/Madrid" or "UTC"`, name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf(`time zone %q is unknown: write a name like "Europe/Madrid" or "UTC"`, name)
	}
	return loc, nil
}

// AddMonths adds n calendar months in loc (nil: UTC); a day that the month
// lacks becomes its last. n may be negative.
func AddMonths(t time.Time, n int, loc *time.Location) time.Time {
	return addCalendar(t, n, 0, loc)
}

// addCalendar adds months, then days, to the local date of t and keeps its
// local time of day; the result is in t's location.
func addCalendar(t time.Time, months, days int, loc *time.Location) time.Time {
	if months == 0 && days == 0 {
		return t
	}
	if loc == nil {
		loc = time.UTC
	}
	local := t.In(loc)
	_, offset := local.Zone()
	year, month, day := local.Date()
	first := time.Date(year, month+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	day = min(day, lastDay(first.Year(), first.Month()))
	date := first.AddDate(0, 0, day-1+days)
	wall := date.Unix() + secondOfDay(local.Unix()+int64(offset))
	sec := resolve(wall, int64(offset), loc)
	return time.Unix(sec, int64(t.Nanosecond())).In(t.Location())
}

// lastDay returns the number of days of a month.
func lastDay(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// secondOfDay returns the time of day of a wall second.
func secondOfDay(wall int64) int64 { return wall - dayOf(wall)*secondsADay }

// dayOf returns the number of the day, counted from the epoch, that holds a wall second.
func dayOf(wall int64) int64 {
	if wall < 0 {
		return (wall - secondsADay + 1) / secondsADay
	}
	return wall / secondsADay
}
