package calendar

import (
	"fmt"
	"strings"
	"time"
)

// wallLayout is a local date-time without fraction, as errors show it.
const wallLayout = "2006-01-02T15:04:05"

// ParseInstant reads an ISO 8601 date-time with offset or Z, or without one in
// loc: "2026-03-04T09:30:00+01:00", "2026-03-04T08:30Z". Seconds may be left
// out and may have a fraction of up to nine digits; the offset is Z, ±HH:MM,
// ±HHMM or ±HH and at most 18 hours. It is an error if there is no offset and
// loc is nil, or the local time doesn't exist or exists twice. The result is in UTC.
func ParseInstant(text string, loc *time.Location) (time.Time, error) {
	wall, zoneText, nanos, ok := scanDateTime(text)
	if !ok {
		return time.Time{}, refuseInstant(text)
	}
	date, err := time.Parse(wallLayout, wall)
	if err != nil && strings.HasSuffix(wall, "T24:00:00") {
		return time.Time{}, fmt.Errorf("date-time %q is ISO 8601, but 24:00 is not accepted here: write 00:00 of the next day", clip(text))
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("date-time %q is not on the calendar or the clock: there is no such day or time of day", clip(text))
	}
	if zoneText != "" {
		offset, err := parseOffset(zoneText)
		if err != nil {
			return time.Time{}, fmt.Errorf("date-time %q: %w", clip(text), err)
		}
		return time.Unix(date.Unix()-offset, nanos).UTC(), nil
	}
	if loc == nil {
		return time.Time{}, fmt.Errorf(`date-time %q has no offset and the application has no time zone: write one at its end, as in "%sZ" or "%s+01:00"`, clip(text), wall, wall)
	}
	secs, before, after, gapEnd := occurrences(date.Unix(), loc)
	switch len(secs) {
	case 0:
		show := func(offset int64) string { return time.Unix(gapEnd+offset, 0).UTC().Format("15:04") }
		return time.Time{}, fmt.Errorf("date-time %q doesn't exist in %s: clocks go from %s to %s then; write %q or give an offset",
			clip(text), loc, show(before), show(after), time.Unix(date.Unix()-before+after, 0).UTC().Format(wallLayout))
	case 1:
		return time.Unix(secs[0], nanos).UTC(), nil
	}
	show := func(sec int64) string { return time.Unix(sec, 0).In(loc).Format(time.RFC3339) }
	return time.Time{}, fmt.Errorf("date-time %q exists twice in %s, since clocks are set back then: write %q or %q", clip(text), loc, show(secs[0]), show(secs[1]))
}

// scanDateTime splits a text by its shape: the wall time in wallLayout, the
// fraction in nanoseconds, and the offset as written.
func scanDateTime(text string) (wall, zone string, nanos int64, ok bool) {
	const date = "0000-00-00T00:00"
	if len(text) < len(date) || !shaped(text[:len(date)], date) {
		return "", "", 0, false
	}
	wall, rest := text[:len(date)]+":00", text[len(date):]
	if strings.HasPrefix(rest, ":") {
		if len(rest) < 3 || !shaped(rest[:3], ":00") {
			return "", "", 0, false
		}
		wall, rest = text[:len(date)]+rest[:3], rest[3:]
		if fraction, pointed := strings.CutPrefix(rest, "."); pointed {
			rest = strings.TrimLeft(fraction, "0123456789")
			fraction = fraction[:len(fraction)-len(rest)]
			if fraction == "" || len(fraction) > 9 {
				return "", "", 0, false
			}
			for _, digit := range (fraction + "00000000")[:9] {
				nanos = nanos*10 + int64(digit-'0')
			}
		}
	}
	for _, shape := range []string{"", "Z", "+00:00", "+0000", "+00", "-00:00", "-0000", "-00"} {
		if shaped(rest, shape) {
			return wall, rest, nanos, true
		}
	}
	return "", "", 0, false
}

// shaped reports whether text is shape, with any digit for each 0 of it.
func shaped(text, shape string) bool {
	if len(text) != len(shape) {
		return false
	}
	for i := range len(shape) {
		digit := shape[i] == '0' && text[i] >= '0' && text[i] <= '9'
		if !digit && text[i] != shape[i] {
			return false
		}
	}
	return true
}

// parseOffset reads an offset that has the right shape, in seconds east.
func parseOffset(text string) (int64, error) {
	if text == "Z" {
		return 0, nil
	}
	digits := strings.ReplaceAll(text[1:], ":", "") + "00"
	two := func(i int) int64 { return int64(digits[i]-'0')*10 + int64(digits[i+1]-'0') }
	hours, minutes := two(0), two(2)
	if minutes > 59 || hours*60+minutes > 18*60 {
		return 0, fmt.Errorf(`no place has the offset %q: write one like "+01:00"`, text)
	}
	offset := hours*3600 + minutes*60
	if text[0] == '-' {
		return -offset, nil
	}
	return offset, nil
}

// refuseInstant returns the error for a text without the right shape.
func refuseInstant(text string) error {
	const like = `write it like "2026-03-04T09:30:00+01:00" or "2026-03-04T08:30:00Z"`
	for _, date := range []string{"0000-00-00", "0000-00"} {
		if shaped(text, date) {
			return fmt.Errorf("date-time %q has no time of day: %s", text, like)
		}
	}
	if _, err := ParseDuration(text); err == nil {
		return fmt.Errorf("%q is a duration, not a date-time: write it as the delay, or give a time, such as \"2026-03-04T09:30:00+01:00\"", clip(text))
	}
	if strings.Contains(text, "[") {
		return fmt.Errorf("date-time %q names a zone in brackets, which ISO 8601 doesn't: %s", clip(text), like)
	}
	if form := otherForm(text); form != "" {
		return fmt.Errorf("date-time %q is ISO 8601, but %s is not accepted here: %s", clip(text), form, like)
	}
	return fmt.Errorf("date-time %q is not ISO 8601: %s", clip(text), like)
}

// otherForm names the form of ISO 8601 that text has and that ParseInstant doesn't accept,
// "" if there is none.
func otherForm(text string) string {
	date, clock, timed := strings.Cut(text, "T")
	if _, after, interval := strings.Cut(text, "/"); interval && timed && strings.Trim(text, "0123456789-+:.,/RPTZYMWDHS") == "" && after != "" {
		return "an interval"
	}
	if len(date) == len("+000000-00-00") && (date[0] == '+' || date[0] == '-') && shaped(date[1:], "000000-00-00") {
		return "a year of more than four digits"
	}
	for _, shape := range []string{"0000-W00-0", "0000W000", "0000-W00", "0000W00"} {
		if shaped(date, shape) {
			return "a date by week"
		}
	}
	switch {
	case shaped(text, "0000"):
		return "a year alone"
	case shaped(text, "00000000"):
		return "the basic form without hyphens"
	case shaped(date, "0000-000"), shaped(date, "0000000"):
		return "a date by the day of the year"
	case timed && shaped(date, "00000000"):
		return "the basic form without hyphens"
	case !timed || !shaped(date, "0000-00-00"):
		return ""
	}
	if end := strings.IndexAny(clock, "Z+-"); end >= 0 {
		clock = clock[:end]
	}
	whole, fraction, _ := strings.Cut(strings.ReplaceAll(clock, ",", "."), ".")
	switch {
	case strings.Trim(fraction, "0123456789") != "":
		return ""
	case shaped(whole, "0000"), shaped(whole, "000000"):
		return "the basic form without colons"
	case shaped(whole, "00"):
		return "a time of hours alone"
	case fraction != "" && strings.Contains(clock, ",") && shaped(whole, "00:00:00"):
		return "a comma in a fraction"
	case fraction != "" && shaped(whole, "00:00"):
		return "a fraction of a minute"
	case len(fraction) > 9 && shaped(whole, "00:00:00"):
		return "a fraction of more than nine digits"
	}
	return ""
}
