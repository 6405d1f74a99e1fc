package calendar

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// field is one of the five fields of a cron expression.
type field struct {
	name     string
	min, max int
	names    []string // names[i] is min+i
}

// cronFields returns the fields in the order in which they are written.
func cronFields() [5]field {
	return [5]field{
		{name: "minute", min: 0, max: 59},
		{name: "hour", min: 0, max: 23},
		{name: "day of the month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
		{name: "weekday", min: 0, max: 6, names: strings.Fields("SUN MON TUE WED THU FRI SAT")},
	}
}

// expression is a parsed cron expression: bit sets of matching values, and
// the zone in which they apply.
type expression struct {
	minute, hour, dom, month, dow uint64
	loc                           *time.Location
	runs                          []run // the matching stretches of a matching day
}

// run is a stretch [from, to) of a day, in seconds of its wall time.
type run struct{ from, to int64 }

const (
	allMinutes  = 1<<60 - 1
	allHours    = 1<<24 - 1
	allDays     = 1<<32 - 2
	allMonths   = 1<<13 - 2
	allWeekdays = 1<<7 - 1
)

// parseExpression reads five cron fields with an optional TZ= or CRON_TZ=
// prefix, which overrides loc (nil: UTC). Beyond what robfig/cron reads, ranges
// may wrap (22-6, SAT-MON) and Sunday may be 7.
func parseExpression(text string, loc *time.Location) (expression, error) {
	rest, loc, err := cutZone(text, loc)
	if err != nil {
		return expression{}, err
	}
	parts := strings.Fields(rest)
	if len(parts) == 6 {
		return expression{}, fmt.Errorf("%q has 6 fields: there is no field for seconds; write minute, hour, day of the month, month and weekday", text)
	}
	if len(parts) != 5 {
		return expression{}, fmt.Errorf("%q has %d fields: write 5, minute, hour, day of the month, month and weekday, e.g. %q", text, len(parts), "* 9-20 * * MON-SAT")
	}
	for i, f := range cronFields() {
		if parts[i], err = f.plain(parts[i]); err != nil {
			return expression{}, fmt.Errorf("%q: %w", text, err)
		}
	}
	// The zone never reaches the parser, which panics on a prefix without a space.
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(strings.Join(parts, " "))
	if err != nil {
		return expression{}, fmt.Errorf("%q is not a cron expression: %w", text, err)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return expression{}, fmt.Errorf("%q is not a cron expression", text)
	}
	e := expression{
		minute: spec.Minute & allMinutes, hour: spec.Hour & allHours, dom: spec.Dom & allDays,
		month: spec.Month & allMonths, dow: spec.Dow & allWeekdays, loc: loc,
	}
	if !e.everFires() {
		return expression{}, fmt.Errorf("%q never happens: none of its months has such a day", text)
	}
	e.runs = e.dayRuns()
	return e, nil
}

// cutZone takes a TZ= or CRON_TZ= prefix off a text.
func cutZone(text string, loc *time.Location) (string, *time.Location, error) {
	if loc == nil {
		loc = time.UTC
	}
	text = strings.TrimSpace(text)
	prefix, rest, _ := strings.Cut(text, "=")
	if prefix != "TZ" && prefix != "CRON_TZ" {
		return text, loc, nil
	}
	name, rest, ok := strings.Cut(rest, " ")
	if !ok || strings.TrimSpace(rest) == "" {
		return "", nil, fmt.Errorf("%q names a time zone and nothing else: write the five fields after it, e.g. %q", text, text+" * 9-20 * * MON-SAT")
	}
	loc, err := LoadZone(name)
	if err != nil {
		return "", nil, fmt.Errorf("%q: %w", text, err)
	}
	return strings.TrimSpace(rest), loc, nil
}

// plain checks a field by the strict grammar (elements separated by
// commas; an element is *, ?, a value, or a range, each with an optional /step) and
// rewrites it as a plain list of numbers, or * if it holds every value.
func (f field) plain(text string) (string, error) {
	var set uint64
	for elem := range strings.SplitSeq(text, ",") {
		one, err := f.element(elem)
		if err != nil {
			return "", err
		}
		set |= one
	}
	if bits.OnesCount64(set) == f.max-f.min+1 {
		return "*", nil // 1-31 restricts nothing, so it mustn't count as a restriction of the day
	}
	var list []string
	for v := f.min; v <= f.max; v++ {
		if set&(1<<v) != 0 {
			list = append(list, strconv.Itoa(v))
		}
	}
	return strings.Join(list, ","), nil
}

// element returns the set of values of one element of a field's list.
func (f field) element(text string) (uint64, error) {
	span, stepText, stepped := strings.Cut(text, "/")
	low, high, ranged := strings.Cut(span, "-")
	var from, to int
	var err error
	switch {
	case span == "*" || span == "?":
		from, to = f.min, f.max
	case text == "":
		return 0, fmt.Errorf("the %s field has an empty element: write * for every value", f.name)
	default:
		if from, err = f.value(low); err != nil {
			return 0, err
		}
		to = from
		if ranged {
			if to, err = f.value(high); err != nil {
				return 0, err
			}
		} else if stepped {
			to = f.max // N/step runs from N to the end
		}
	}
	step, count := 1, f.max-f.min+1
	if stepped {
		if step, err = number(stepText); err != nil || step < 1 || step >= count {
			return 0, fmt.Errorf("the %s field has the step %q: write a whole number from 1 to %d", f.name, stepText, count-1)
		}
	}
	if to < from {
		to += count // a range that wraps
	}
	var set uint64
	for v := from; v <= to; v += step {
		set |= 1 << (f.min + (v-f.min)%count) // so weekday 7 is 0
	}
	return set, nil
}

// value reads a number or a name of the field. A weekday may be 7.
func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(name, text) {
			return f.min + i, nil
		}
	}
	highest := f.max
	if f.names != nil && f.min == 0 {
		highest = 7
	}
	if n, err := number(text); err == nil && n >= f.min && n <= highest {
		return n, nil
	}
	names := ""
	if f.names != nil {
		names = fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	return 0, fmt.Errorf("the %s field has %q: write %d to %d%s", f.name, text, f.min, highest, names)
}

// number reads digits only: no sign, no space.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

// everFires reports whether any date matches at all: 30 February doesn't.
func (e *expression) everFires() bool {
	if e.dom == allDays || e.dow != allWeekdays {
		return true // every month has every weekday
	}
	for m := time.January; m <= time.December; m++ {
		days := uint64(1)<<(lastDay(2024, m)+1) - 1 // a leap year
		if e.month&(1<<m) != 0 && e.dom&days != 0 {
			return true
		}
	}
	return false
}

// matchesDay reports whether the day with this number since the epoch matches.
// As in every cron, a day matches either field where both are restricted.
func (e *expression) matchesDay(day int64) bool {
	if e.dom == allDays && e.month == allMonths && e.dow == allWeekdays {
		return true
	}
	date := time.Unix(day*secondsADay, 0).UTC()
	if e.month&(1<<date.Month()) == 0 {
		return false
	}
	dom, dow := e.dom&(1<<date.Day()) != 0, e.dow&(1<<date.Weekday()) != 0
	if e.dom == allDays || e.dow == allWeekdays {
		return dom && dow
	}
	return dom || dow
}

// dayRuns returns the matching stretches of a matching day, joined where they touch.
func (e *expression) dayRuns() []run {
	var runs []run
	for m := int64(0); m < 24*60; m++ {
		if e.hour&(1<<(m/60)) == 0 || e.minute&(1<<(m%60)) == 0 {
			continue
		}
		if n := len(runs); n > 0 && runs[n-1].to == m*60 {
			runs[n-1].to += 60
			continue
		}
		runs = append(runs, run{m * 60, m*60 + 60})
	}
	return runs
}
