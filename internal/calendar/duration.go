package calendar

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sosodev/duration"

	"campaignd/internal/display"
)

// Duration is an ISO 8601 duration whose years to days follow the calendar
// (docs/contract.md 5, delay). It is positive; the zero Duration adds nothing.
type Duration struct {
	months int // years and months
	days   int // weeks and days
	exact  time.Duration
}

// part is one number with its unit in an ISO 8601 duration.
type part struct {
	unit     byte
	name     string
	most     int  // keeps the sum in range: about a hundred years each
	fraction bool // may have one
}

// dateParts and timeParts are the units before and after the T, in the order
// in which ISO 8601 wants them. Weeks may appear with the others (ISO 8601-2).
func dateParts() []part {
	return []part{{'Y', "years", 100, false}, {'M', "months", 1200, false}, {'W', "weeks", 5200, false}, {'D', "days", 36500, false}}
}

func timeParts() []part {
	return []part{{'H', "hours", 876_000, false}, {'M', "minutes", 52_560_000, false}, {'S', "seconds", 999_999_999, true}}
}

// ParseDuration reads one under a strict grammar: P, then numbers with units in
// the order Y M W D, then T and H M S, each at most once and at least one; a
// fraction, with a point and at most nine digits, only on the seconds; no
// sign; not zero. The error is written for a partner.
func ParseDuration(text string) (Duration, error) {
	body, ok := strings.CutPrefix(text, "P")
	if !ok {
		return Duration{}, refuseDuration(text)
	}
	date, clock, timed := strings.Cut(body, "T")
	if body == "" || timed && clock == "" {
		return Duration{}, fmt.Errorf(`duration %q has nothing after the %c: write e.g. "PT15M" or "P3D"`, clip(text), text[len(text)-1])
	}
	if _, err := checkParts(text, date, dateParts(), "before the T"); err != nil {
		return Duration{}, err
	}
	nanos, err := checkParts(text, clock, timeParts(), "after the T")
	if err != nil {
		return Duration{}, err
	}
	// The module's floats are exact for whole numbers of this size; the
	// fraction was read above, digit by digit.
	d, err := duration.Parse(text)
	if err != nil {
		return Duration{}, fmt.Errorf("duration %q: %w", clip(text), err)
	}
	sum := Duration{
		months: int(d.Years)*12 + int(d.Months),
		days:   int(d.Weeks)*7 + int(d.Days),
		exact: time.Duration(d.Hours)*time.Hour + time.Duration(d.Minutes)*time.Minute +
			time.Duration(math.Trunc(d.Seconds))*time.Second + nanos,
	}
	if sum == (Duration{}) {
		return Duration{}, fmt.Errorf("duration %q is zero: write a positive duration", clip(text))
	}
	return sum, nil
}

// checkParts checks one half of a duration against the grammar and returns the
// fraction of its seconds.
func checkParts(text, half string, parts []part, where string) (nanos time.Duration, err error) {
	next := 0
	for half != "" {
		digits := len(half) - len(strings.TrimLeft(half, "0123456789."))
		number, rest := half[:digits], half[digits:]
		if number == "" {
			return 0, refuseDuration(text)
		}
		if rest == "" {
			return 0, fmt.Errorf("duration %q has a number without a unit", clip(text))
		}
		found := -1
		for i, p := range parts {
			if p.unit == rest[0] {
				found = i
			}
		}
		switch {
		case found < 0 && strings.IndexByte("YMWDHS", rest[0]) >= 0:
			return 0, fmt.Errorf(`duration %q has the unit %c %s: Y M W D come before the T and H M S after it, as in "P1DT2H"`, clip(text), rest[0], where)
		case found < 0:
			return 0, refuseDuration(text)
		case found < next:
			return 0, fmt.Errorf("duration %q has the unit %c twice or out of order: write each once, in the order Y M W D, then T and H M S", clip(text), rest[0])
		}
		whole, fraction, fractional := strings.Cut(number, ".")
		if fractional {
			if !parts[found].fraction {
				return 0, fmt.Errorf("duration %q has a fraction of %s: only seconds may have one", clip(text), parts[found].name)
			}
			if whole == "" || fraction == "" || len(fraction) > 9 || strings.Contains(fraction, ".") {
				return 0, fmt.Errorf(`duration %q has the seconds %q: write digits, a point and 1 to 9 digits, as in "PT0.25S"`, clip(text), clip(number))
			}
			n, err := strconv.Atoi((fraction + "00000000")[:9])
			if err != nil {
				return 0, refuseDuration(text)
			}
			nanos = time.Duration(n)
		}
		if n, err := strconv.Atoi(whole); err != nil || n > parts[found].most {
			return 0, fmt.Errorf("duration %q is out of range: at most %d %s", clip(text), parts[found].most, parts[found].name)
		}
		next, half = found+1, rest[1:]
	}
	return nanos, nil
}

// refuseDuration returns the error for a text far from the grammar.
func refuseDuration(text string) error {
	switch upper := strings.ToUpper(text); {
	case shaped(text, "P0000-00-00T00:00:00"), shaped(text, "P00000000T000000"):
		return fmt.Errorf(`duration %q is ISO 8601, but the form of a date is not accepted here: write units, as in "P1DT2H"`, clip(text))
	case strings.HasPrefix(upper, "P") && strings.Contains(text, "/"):
		return fmt.Errorf("duration %q is ISO 8601, but an interval is not accepted here: write the duration alone", clip(text))
	case strings.HasPrefix(upper, "+P") || strings.HasPrefix(upper, "P") && strings.Contains(text, "+"):
		return fmt.Errorf("duration %q has a sign: write it without", clip(text))
	case isDateTime(text):
		return fmt.Errorf("%q is a date-time, not a duration: write it as scheduleAt", clip(text))
	case strings.HasPrefix(text, "-") || strings.Contains(text, "-") && strings.HasPrefix(upper, "P"):
		return fmt.Errorf("duration %q has a sign: write a positive duration", clip(text))
	case strings.Contains(text, ",") && strings.HasPrefix(upper, "P"):
		return fmt.Errorf(`duration %q has a comma: write a point, as in "PT0.25S"`, clip(text))
	case upper != text && strings.HasPrefix(upper, "P"):
		return fmt.Errorf("duration %q has small letters: write capitals, as in %q", clip(text), clip(upper))
	}
	return fmt.Errorf(`duration %q is not ISO 8601: write e.g. "PT20S", "PT15M", "PT4H", "P3D" or "P1M"`, clip(text))
}

// isDateTime reports whether text has the shape of a date-time.
func isDateTime(text string) bool {
	_, _, _, ok := scanDateTime(text)
	return ok
}

// clip keeps a hostile text from filling a report.
func clip(text string) string { return display.Clip(text, 64) }

// AddTo adds the calendar part in loc (nil: UTC), then the time part exactly.
// A day that the month lacks becomes its last: 31 January plus P1M is the last
// of February. A local time that doesn't exist moves on by the length of the
// gap; one that exists twice keeps t's offset. The result is in t's location.
func (d Duration) AddTo(t time.Time, loc *time.Location) time.Time {
	return addCalendar(t, d.months, d.days, loc).Add(d.exact)
}
