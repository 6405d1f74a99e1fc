package calendar

import (
	"fmt"
	"strings"
	"time"
)

// Schedule is a guarded cron schedule. The zero Schedule never fires.
type Schedule struct {
	every time.Duration // not 0: fires this long after
	cron  *expression
}

// ParseSchedule reads a five-field cron expression, which may begin with
// "TZ=Europe/Madrid " and otherwise applies in loc (nil: UTC);
// @yearly, @monthly, @weekly, @daily or @hourly; or a length of time of at
// least a second, "@every 10s" or just "10s". A schedule that would never fire is an error.
func ParseSchedule(text string, loc *time.Location) (Schedule, error) {
	rest, zone, err := cutZone(text, loc)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %w", err)
	}
	var s Schedule
	length, every := strings.CutPrefix(rest, "@every ")
	if length = strings.TrimSpace(length); every || isLength(length) {
		if s.every, err = ParseLength(length); err != nil {
			return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
		}
		if s.every < time.Second || s.every%time.Second != 0 {
			return Schedule{}, fmt.Errorf("schedule %q is not a whole number of seconds: write 1s or more", text)
		}
		return s, nil
	}
	if strings.HasPrefix(rest, "@") {
		fields, known := map[string]string{
			"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
			"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
		}[rest]
		if !known {
			return Schedule{}, fmt.Errorf("schedule %q is unknown: write five cron fields, @hourly, @daily, @weekly, @monthly, @yearly or %q", text, "@every 10s")
		}
		rest = fields
	}
	e, err := parseExpression(rest, zone)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %w", err)
	}
	s.cron = &e
	return s, nil
}

// isLength reports whether a text looks like a length: one word that begins with a digit.
func isLength(text string) bool {
	return text != "" && text[0] >= '0' && text[0] <= '9' && !strings.ContainsAny(text, " \t")
}

// searchLimit bounds the search for the next firing, in seconds: from 29 February
// to the next across a year like 2100, without a weekday condition.
const searchLimit = 9 * 366 * secondsADay

// Next returns the first instant after after at which the schedule fires; zero only
// for the zero Schedule. One that names hours fires once for each local
// minute that it names: at the first of two, and for minutes in a gap once, at
// the gap's end. One for every hour fires at each matching minute that passes.
// A length fires that long after after, on the whole second.
func (s Schedule) Next(after time.Time) time.Time {
	if s.every > 0 {
		return after.Add(s.every - time.Duration(after.Nanosecond()))
	}
	if s.cron == nil {
		return time.Time{}
	}
	e, at := s.cron, after.Unix()+1
	byHour := e.hour != allHours
	for limit := at + searchLimit; at < limit; {
		p := periodAt(at, e.loc)
		wall := at + p.offset
		if byHour && p.start > -searchLimit*100 {
			skipped := periodAt(p.start-1, e.loc).offset
			if _, ok := e.nextMinute(p.start+skipped, p.start+p.offset); ok && at == p.start {
				return time.Unix(at, 0).In(after.Location())
			}
			wall = max(wall, p.start+skipped) // shown before, in the period before: not again
		}
		if found, ok := e.nextMinute(wall, min(p.end, limit)+p.offset); ok {
			return time.Unix(found-p.offset, 0).In(after.Location())
		}
		at = p.end
	}
	return time.Time{}
}

// nextMinute returns the first wall second in [from, to) at which a matching minute begins.
func (e *expression) nextMinute(from, to int64) (int64, bool) {
	for day := dayOf(from); day*secondsADay < to; day++ {
		if !e.matchesDay(day) {
			continue
		}
		midnight := day * secondsADay
		for _, r := range e.runs {
			minute := max(r.from, (max(from-midnight, 0)+59)/60*60)
			if minute < r.to && minute >= r.from {
				return midnight + minute, midnight+minute < to
			}
		}
	}
	return 0, false
}
