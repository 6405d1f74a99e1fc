package main

import (
	"fmt"
	"strings"
	"time"

	"campaignd/internal/control"
)

// cellsARow is the most cells drawn for an hour; with more slots than that a
// cell stands for several.
const cellsARow = 60

// shade is the cell of a slot: part of 4 is full.
func shade(part int) rune { return [...]rune{'·', '░', '▒', '▓', '█'}[part] }

// closedCell is a slot outside the sending windows, pastCell one outside the 48 h.
const (
	closedCell = '-'
	pastCell   = ' '
)

// drawTimeline draws an application's slots: a row an hour (or a slot, where that
// is longer), a cell a slot, and what the cells mean.
func drawTimeline(t control.Timeline, a control.ApplicationTimeline, zone *time.Location) []string {
	slot := time.Duration(a.SlotSeconds) * time.Second
	row := time.Hour
	if slot > row {
		row = slot
	}
	cell := slot
	for row/cell > cellsARow {
		cell += slot
	}
	reserved := make(map[int64]uint32, len(a.Slots))
	for _, s := range a.Slots {
		reserved[s.Start.UnixNano()/int64(slot)] = s.Reserved
	}
	var out []string
	day := ""
	for start := floor(t.From, row); start.Before(t.Until); start = start.Add(row) {
		local := start.In(zone)
		label := "          "
		if d := local.Format("Mon Jan 02"); d != day {
			day, label = d, d
		}
		var cells strings.Builder
		var sum, room uint64
		end := start.Add(row)
		// A slot belongs to the row in which it begins; not every length divides an hour.
		for at := floor(start.Add(slot-1), slot); at.Before(end); at = at.Add(cell) {
			full, space, mark := fill(t, a, reserved, slot, at, min(cell, end.Sub(at)))
			sum, room = sum+full, room+space
			cells.WriteRune(mark)
		}
		line := fmt.Sprintf("%s %s %s", label, local.Format("15:04"), cells.String())
		if sum > 0 {
			line += fmt.Sprintf("  %s of %s", count(sum), count(room))
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	legend := "· empty  ░▒▓ partly full  █ full  - closed"
	if cell > slot {
		legend += fmt.Sprintf("; a cell is %d slots", cell/slot)
	}
	return append(out, "", legend)
}

// fill adds up the slots that begin in a cell, and chooses the cell's mark.
func fill(t control.Timeline, a control.ApplicationTimeline, reserved map[int64]uint32, slot time.Duration, at time.Time, cell time.Duration) (full, room uint64, mark rune) {
	slots := 0
	for end := at.Add(cell); at.Before(end); at = at.Add(slot) {
		if !at.Add(slot).After(t.From) || !at.Before(t.Until) {
			continue
		}
		slots++
		n := uint64(reserved[at.UnixNano()/int64(slot)])
		if n == 0 && isClosed(a.Closed, at) {
			continue
		}
		full, room = full+n, room+uint64(a.Capacity)
	}
	switch {
	case slots == 0:
		mark = pastCell
	case room == 0:
		mark = closedCell
	case full == 0:
		mark = shade(0)
	case full >= room:
		mark = shade(4)
	default:
		mark = shade(1 + int(full*3/room))
	}
	return full, room, mark
}

func isClosed(closed []control.Span, at time.Time) bool {
	for _, s := range closed {
		if !at.Before(s.Start) && at.Before(s.End) {
			return true
		}
	}
	return false
}

// floor is the last multiple of step since the epoch at or before at.
func floor(at time.Time, step time.Duration) time.Time {
	return time.Unix(0, at.UnixNano()/int64(step)*int64(step)).UTC()
}
