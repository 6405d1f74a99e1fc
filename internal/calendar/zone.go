package calendar

import (
	"math"
	"time"
)

// period is a stretch of elapsed time in which a zone's offset is the same, so
// that within it wall time is elapsed time plus the offset. A wall second is
// the reading of a local clock, counted as if it were UTC.
type period struct {
	start, end int64 // Unix seconds; end exclusive
	offset     int64 // seconds east of UTC
}

// periodAt returns the period of loc that holds the Unix second sec.
func periodAt(sec int64, loc *time.Location) period {
	t := time.Unix(sec, 0).In(loc)
	p := period{start: math.MinInt64 / 4, end: math.MaxInt64 / 4}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.start = start.Unix()
	}
	if !end.IsZero() {
		p.end = end.Unix()
	}
	// Beyond a zone's table (in the embedded data that may be next year),
	// package time takes every year to have 365 days: on 31 December of a leap
	// year it returns an end before sec.
	if p.end <= sec {
		p.end = (dayOf(sec) + 1) * secondsADay
	}
	_, offset := t.Zone()
	p.offset = int64(offset)
	return p
}

// maxOffset exceeds the offset of every zone, past and present.
const maxOffset = 17 * 60 * 60

// occurrences returns the Unix seconds at which clocks in loc show wall: one as a
// rule, two in a repeated hour, none in a gap. For a gap, before and after are
// the offsets on its two sides and gapEnd is the second at which it ends.
func occurrences(wall int64, loc *time.Location) (secs []int64, before, after, gapEnd int64) {
	last := period{}
	for at, first := wall-maxOffset, true; at <= wall+maxOffset; first = false {
		p := periodAt(at, loc)
		if !first {
			p.start = at // periods may overlap for the reason given in periodAt
		}
		sec := wall - p.offset
		if sec >= p.start && sec < p.end {
			secs = append(secs, sec)
		}
		// Too late by the offset before, too early by the offset after: a gap.
		if !first && wall-last.offset >= p.start && sec < p.start {
			before, after, gapEnd = last.offset, p.offset, p.start
		}
		last, at = p, p.end
	}
	return secs, before, after, gapEnd
}

// resolve returns one Unix second for a wall second: the one with the offset prefer if
// there is one, else the first. In a gap it moves on by the gap's length.
func resolve(wall, prefer int64, loc *time.Location) int64 {
	secs, before, _, _ := occurrences(wall, loc)
	if len(secs) == 0 {
		return wall - before
	}
	for _, sec := range secs {
		if wall-sec == prefer {
			return sec
		}
	}
	return secs[0]
}
