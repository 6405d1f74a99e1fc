// Package picture draws an application's slots as text: one cell per slot, shaded
// by its fill, in rows of one or several hours, with letters for the sendings that
// use the slots. It is separate from planning, which needn't know how a timeline
// looks.
//
// It is pure and can't fail. It draws plain text or ANSI colors. Names are escaped
// for a terminal.
package picture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"campaignd/internal/display"
	"campaignd/internal/plan"
)

// Timeline is the input of a picture.
type Timeline struct {
	From, Until time.Time // slots that overlap [From, Until) are drawn
	Grid        plan.Grid
	Closed      []Span           // closed times in addition to those of Grid; in order
	Reserved    map[int64]uint32 // messages by slot number; missing slots are empty
	Sendings    [][]int64        // numbers of the slots that each uses, in order; the sendings in the order of their letters
	Zone        *time.Location   // for dates and times; nil: UTC
}

// Span is the time from Start up to, but not including, End.
type Span struct{ Start, End time.Time }

// The cells without reserved messages.
const (
	emptyCell   = '·'
	closedCell  = '-' // outside the sending windows
	outsideCell = ' ' // before From or from Until on
)

// shades returns the cells of slots with reserved messages; only the last means full.
func shades() []rune { return []rune("▁▂▃▄▅▆▇█") }

// letters name the sendings in a picture; further sendings are only counted.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Letter returns the letter of the sending at index i, "" if it has none.
func Letter(i int) string {
	if i >= len(letters) {
		return ""
	}
	return letters[i : i+1]
}

const (
	labelWidth = len("Mon 02 Jan 15:04 ") // before the cells
	sumWidth   = len("  100% 12,345,678 ABCD+12")
	minCells   = 12 // even in a narrow terminal
	maxRows    = 16 // roughly; longer times get larger cells
	maxLetters = 4  // letters after a row
)

// layout divides slots into cells and cells into rows.
type layout struct {
	perCell int64 // slots
	perRow  int64 // slots, a multiple of perCell
	first   int64 // first slot of the first row
}

// layout chooses the longest rows of whole hours that fit into width. A cell covers
// several slots if an hour has too many, or if there would be more than maxRows rows.
func (t Timeline) layout(width int) layout {
	cells := int64(max(width-labelWidth-sumWidth, minCells))
	slot := t.Grid.Slot
	l := layout{perCell: 1, perRow: 1}
	if perHour := int64(time.Hour / slot); perHour > cells {
		l.perCell = cellOf(perHour, cells)
	}
	rowLength := slot // slots longer than a day get a row each
	least := t.Until.Sub(t.From) / maxRows
	for _, hours := range []time.Duration{1, 2, 3, 4, 6, 8, 12, 24} {
		length := hours * time.Hour
		n := int64(length / slot)
		if n < 1 || n > cells*l.perCell && rowLength >= least {
			continue
		}
		if n > cells*l.perCell {
			l.perCell = cellOf(n, cells)
		}
		l.perRow, rowLength = (n+l.perCell-1)/l.perCell*l.perCell, length
	}
	// Rows begin at full local hours if slots do.
	local := t.From.In(t.zone())
	sinceMidnight := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second
	l.first = t.Grid.Number(t.From.Add(-(sinceMidnight % max(rowLength, time.Hour))))
	return l
}

// cellOf returns the number of slots per cell with which a row of n slots has at
// most cells cells. It prefers a divisor of n, so that rows end at full hours.
func cellOf(n, cells int64) int64 {
	fewest := (n + cells - 1) / cells
	for size := fewest; size <= 2*fewest; size++ {
		if n%size == 0 {
			return size
		}
	}
	return fewest
}

func (t Timeline) zone() *time.Location {
	if t.Zone == nil {
		return time.UTC
	}
	return t.Zone
}

// defaultWidth is the width of a terminal whose width is unknown.
const defaultWidth = 80

// Rows draws the timeline in lines of at most width characters, without the list of sendings. A width
// of 0 or less means 80; less than 54 is exceeded.
func (t Timeline) Rows(width int, color bool) []string {
	if width <= 0 {
		width = defaultWidth
	}
	if t.Grid.Slot < time.Second || !t.From.Before(t.Until) {
		return nil
	}
	l := t.layout(width)
	begin, end := t.Grid.Number(t.From), t.Grid.Number(t.Until.Add(-1))+1
	open := t.openSlots(begin, end)
	var out []string
	day := ""
	for row := l.first; row < end; row += l.perRow {
		if row+l.perRow <= begin {
			continue
		}
		local := t.Grid.Start(row).In(t.zone())
		label := strings.Repeat(" ", len("Mon 02 Jan"))
		if d := local.Format("Mon 02 Jan"); d != day {
			day, label = d, d
		}
		var cells strings.Builder
		var sum, room uint64
		for cell := row; cell < row+l.perRow; cell += l.perCell {
			held, space, shade := t.cell(max(cell, begin), min(cell+l.perCell, end), open, begin)
			sum, room = sum+held, room+space
			cells.WriteString(colored(shade, color))
		}
		line := label + " " + local.Format("15:04") + " " + cells.String()
		if sum > 0 {
			line += fmt.Sprintf("  %4s %s%s", percent(sum, room), display.Number(sum), t.letters(row, row+l.perRow))
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	out = append(out, "", "· empty  ▁▂▃▄▅▆▇ partly full  █ full  - closed")
	if l.perCell > 1 {
		out = append(out, fmt.Sprintf("each cell stands for %s slots", display.Number(l.perCell)))
	}
	return out
}

// percent rounds down, so that 100% means full, but never shows 0% for a slot that isn't empty.
func percent(held, room uint64) string {
	if n := held * 100 / room; n > 0 {
		return fmt.Sprintf("%d%%", n)
	}
	return "<1%"
}

// openSlots reports which of the slots [begin, end) are completely within the windows.
func (t Timeline) openSlots(begin, end int64) []bool {
	open := make([]bool, end-begin)
	for from, to := range t.Grid.Windows.Intervals(t.Grid.Start(begin), t.Grid.Start(end)) {
		first := t.Grid.Number(from.Add(-1)) + 1
		for n := first; n < t.Grid.Number(to); n++ {
			open[n-begin] = true
		}
	}
	for _, s := range t.Closed {
		for n := max(t.Grid.Number(s.Start), begin); n < min(t.Grid.Number(s.End.Add(-1))+1, end); n++ {
			open[n-begin] = false
		}
	}
	return open
}

// cell adds up the slots [from, to) and chooses their mark. Closed slots count
// only if they have reservations, made before the windows were changed.
func (t Timeline) cell(from, to int64, open []bool, begin int64) (held, room uint64, mark rune) {
	if from >= to {
		return 0, 0, outsideCell
	}
	for n := from; n < to; n++ {
		reserved := uint64(t.Reserved[n])
		if reserved > 0 || open[n-begin] {
			held, room = held+reserved, room+uint64(t.Grid.Capacity)
		}
	}
	all := shades()
	switch {
	case room == 0:
		return 0, 0, closedCell
	case held == 0:
		return 0, room, emptyCell
	case held >= room:
		return held, room, all[len(all)-1]
	}
	return held, room, all[held*uint64(len(all)-1)/room]
}

// colored adds a color to a cell: red if it is full, yellow from three quarters,
// else green. Cells without reservations are faint.
func colored(mark rune, color bool) string {
	if !color || mark == outsideCell {
		return string(mark)
	}
	code := "32"
	switch mark {
	case emptyCell, closedCell:
		code = "2"
	case '█':
		code = "31"
	case '▆', '▇':
		code = "33"
	}
	return "\x1b[" + code + "m" + string(mark) + "\x1b[0m"
}

// letters returns the letters of the sendings that use slots of [from, to), as far as they fit.
func (t Timeline) letters(from, to int64) string {
	var names []byte
	more := 0
	for i, slots := range t.Sendings {
		at, _ := slices.BinarySearch(slots, from)
		if at == len(slots) || slots[at] >= to {
			continue
		}
		if i < len(letters) && len(names) < maxLetters {
			names = append(names, letters[i])
			continue
		}
		more++
	}
	text := ""
	if len(names) > 0 {
		text = " " + string(names)
	}
	if more > 0 {
		text += fmt.Sprintf("+%d", more)
	}
	return text
}
