package calendar

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Windows are an application's sending windows. A nil *Windows is always open.
type Windows struct {
	open []expression
}

// year bounds the search for openings and closings.
const year = 366 * 24 * time.Hour

// ParseWindows reads cron expressions whose matching minutes are open; one match is
// enough. Each may begin with "TZ=Europe/Madrid " and otherwise applies in loc (nil:
// UTC). No texts give nil, which is always open.
//
// A day of the month and a weekday in one expression are refused: cron would open
// on either, but most authors mean both. Two expressions say the former plainly.
func ParseWindows(texts []string, loc *time.Location) (*Windows, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	w := &Windows{}
	for _, text := range texts {
		if strings.HasPrefix(strings.TrimSpace(text), "@") {
			return nil, fmt.Errorf("window %q is one moment: write the minutes that are open, e.g. %q", text, "* 9-20 * * MON-SAT")
		}
		e, err := parseExpression(text, loc)
		if err != nil {
			return nil, fmt.Errorf("window %w", err)
		}
		if e.dom != allDays && e.dow != allWeekdays {
			return nil, fmt.Errorf("window %q restricts the day of the month and the weekday, and cron accepts either one: write two windows, each with a * in one of them", text)
		}
		w.open = append(w.open, e)
	}
	return w, nil
}

// Open reports whether the minute that contains at is open.
func (w *Windows) Open(at time.Time) bool {
	if w == nil {
		return true
	}
	open, _ := w.cursors().state(at.Unix())
	return open
}

// OpenThrough reports whether every instant of [from, to) is open; an empty interval is.
func (w *Windows) OpenThrough(from, to time.Time) bool {
	if !from.Before(to) {
		return true
	}
	for start, end := range w.Intervals(from, to) {
		return start.Equal(from) && end.Equal(to)
	}
	return false
}

// Intervals returns the longest open intervals [start, end) within [from, to), in
// order, never touching one another. Use it for many slots: its cost
// grows with the number of changes, not of slots.
func (w *Windows) Intervals(from, to time.Time) iter.Seq2[time.Time, time.Time] {
	return func(yield func(start, end time.Time) bool) {
		if !from.Before(to) {
			return
		}
		if w == nil {
			yield(from, to)
			return
		}
		cursors := w.cursors()
		var start time.Time
		inside := false
		// Times stay in from's location, and its fraction of a second is kept.
		for at := from; at.Before(to); {
			open, until := cursors.state(at.Unix())
			if open && !inside {
				start, inside = at, true
			}
			if !open && inside {
				if inside = false; !yield(start, at) {
					return
				}
			}
			at = time.Unix(until, 0).In(from.Location())
		}
		if inside {
			yield(start, to)
		}
	}
}

// NextOpening returns at if it is open, else the next open instant; zero if there is none within a year.
func (w *Windows) NextOpening(at time.Time) time.Time {
	for start := range w.Intervals(at, at.Add(year)) {
		return start
	}
	return time.Time{}
}

// NextClosing returns at if it is closed, else the next closed instant; zero if there is none within a year.
func (w *Windows) NextClosing(at time.Time) time.Time {
	limit := at.Add(year)
	for start, end := range w.Intervals(at, limit) {
		if !start.Equal(at) {
			return at
		}
		if end.Equal(limit) {
			return time.Time{}
		}
		return end
	}
	return at
}

// cursor is an expression with the zone's period of its last query, since looking
// up a period is the expensive step.
type cursor struct {
	*expression
	period
}

type cursors []cursor

func (w *Windows) cursors() cursors {
	all := make(cursors, len(w.open))
	for i := range w.open {
		all[i].expression = &w.open[i] // an empty period: looked up at the first query
	}
	return all
}

// state reports whether any expression is open in the Unix second sec, and a later
// second until which that certainly doesn't change.
func (all cursors) state(sec int64) (open bool, until int64) {
	var opened, closed int64
	for i := range all {
		now, end := all[i].state(sec)
		if now {
			opened = max(opened, end)
			open = true
		} else if closed == 0 || end < closed {
			closed = end
		}
	}
	if open {
		return true, opened
	}
	return false, closed
}

func (c *cursor) state(sec int64) (open bool, until int64) {
	if sec < c.start || sec >= c.end {
		c.period = periodAt(sec, c.loc)
	}
	wall := sec + c.offset
	midnight := dayOf(wall) * secondsADay
	until = midnight + secondsADay
	if c.matchesDay(dayOf(wall)) {
		i, _ := slices.BinarySearchFunc(c.runs, wall-midnight, func(r run, second int64) int {
			if r.to <= second {
				return -1
			}
			return 1
		})
		if i < len(c.runs) {
			if open = c.runs[i].from <= wall-midnight; open {
				until = midnight + c.runs[i].to
			} else {
				until = midnight + c.runs[i].from
			}
		}
	}
	return open, min(until-c.offset, c.end)
}

// OpenFor returns when the windows have been open for d since from, or latest and false if
// they haven't by then. Nil windows are always open.
func (w *Windows) OpenFor(from time.Time, d time.Duration, latest time.Time) (time.Time, bool) {
	if w == nil {
		return from.Add(d), true
	}
	for start, end := range w.Intervals(from, latest) {
		if open := end.Sub(start); open < d {
			d -= open
			continue
		}
		return start.Add(d), true
	}
	return latest, false
}
