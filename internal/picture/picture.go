// Package picture draws an application's slots as text: a cell a slot, shaded
// by how full it is, in rows of one or several hours, each with letters for the sendings
// that hold its slots. It is a room of its own because the command line and the
// web page show the same picture, and planning shouldn't know what it looks like.
//
// It is pure: what it is given it draws, plain or with ANSI colours, and it
// can't fail. Names are made harmless for a terminal, wherever they came from.
package picture

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Timeline is what is to be drawn.
type Timeline struct {
	From, Until time.Time // slots that overlap [From, Until) are drawn
	Grid        plan.Grid
	Closed      []Span           // outside the sending windows, beside those of Grid; in order
	Reserved    map[int64]uint32 // messages by number of slot; those left out are empty
	Sendings    []Sending        // in the order in which they get their letters
	Zone        *time.Location   // for what is written beside the picture; nil: UTC
}

// Span is a stretch of time from Start up to End.
type Span struct{ Start, End time.Time }

// Sending is one that holds slots.
type Sending struct {
	ID    campaign.ID
	Name  string
	Slots []int64 // numbers, in order
}

// SlotsOf are the numbers of the slots that slices hold, in order, each once.
func SlotsOf(g plan.Grid, list []campaign.Slice) []int64 {
	var numbers []int64
	for _, s := range list {
		if s.Sliced() {
			numbers = append(numbers, g.Number(s.Start))
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// The cells that aren't a share of full.
const (
	emptyCell   = '·'
	closedCell  = '-' // outside the sending windows
	outsideCell = ' ' // before From or from Until on
)

// shades are the cells of slots with something in them; the last alone is full.
func shades() []rune { return []rune("▁▂▃▄▅▆▇█") }

// letters name the sendings in a picture; those beyond them are only counted.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Letter is the letter of the sending at index i, "" if it has none.
func Letter(i int) string {
	if i >= len(letters) {
		return ""
	}
	return letters[i : i+1]
}

const (
	labelWidth  = len("Mon 02 Jan 15:04 ") // before the cells
	sumWidth    = len("  100% 12,345,678 ABCD+12")
	fewestCell  = 12 // however narrow the terminal is
	mostRows    = 16 // about; longer times get larger cells
	mostHolders = 4  // letters in a row
)

// layout is how slots become cells and cells become rows.
type layout struct {
	perCell int64 // slots
	perRow  int64 // slots, a multiple of perCell
	first   int64 // the slot with which the first row begins
}

// layout chooses the longest rows of whole hours that fit into width, with
// cells of several slots where an hour, or mostRows rows, would have too many.
func (t Timeline) layout(width int) layout {
	cells := int64(max(width-labelWidth-sumWidth, fewestCell))
	slot := t.Grid.Slot
	l := layout{perCell: 1, perRow: 1}
	if perHour := int64(time.Hour / slot); perHour > cells {
		l.perCell = cellOf(perHour, cells)
	}
	rowLength := slot // a row a slot where slots are longer than a day
	least := t.Until.Sub(t.From) / mostRows
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
	// Rows begin on the local clock's round hours as far as slots do.
	local := t.From.In(t.zone())
	sinceMidnight := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second
	l.first = t.Grid.Number(t.From.Add(-(sinceMidnight % max(rowLength, time.Hour))))
	return l
}

// cellOf is how many slots a cell stands for, so that a row of n slots has at
// most as many cells; a divisor of n if one is near, so that rows end where hours do.
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

// usual is the width of a terminal that doesn't say.
const usual = 80

// Lines draws the timeline into lines of at most width cells (80 if width is
// not positive; a width below 54 can't be kept), the legend last.
func (t Timeline) Lines(width int, color bool) []string {
	if width <= 0 {
		width = usual
	}
	rows := t.Rows(width, color)
	if rows == nil {
		return nil
	}
	return append(rows, t.legend(width)...)
}

// Rows is Lines without the list of sendings: for callers that have one of their own.
func (t Timeline) Rows(width int, color bool) []string {
	if width <= 0 {
		width = usual
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
			cells.WriteString(paint(shade, color))
		}
		line := label + " " + local.Format("15:04") + " " + cells.String()
		if sum > 0 {
			line += fmt.Sprintf("  %4s %s%s", percent(sum, room), thousands(sum), t.holders(row, row+l.perRow))
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	out = append(out, "", "· empty  ▁▂▃▄▅▆▇ partly full  █ full  - closed")
	if l.perCell > 1 {
		out = append(out, fmt.Sprintf("each cell stands for %s slots", thousands(uint64(l.perCell))))
	}
	return out
}

// thousands is a number with its thousands apart.
func thousands(n uint64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// percent is rounded down, so that 100% is full and what is not empty isn't 0%.
func percent(held, room uint64) string {
	if n := held * 100 / room; n > 0 {
		return fmt.Sprintf("%d%%", n)
	}
	return "<1%"
}

// openSlots says of the slots [begin, end) which lie in the windows as a whole.
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
// only where something is reserved in them, from before the windows were changed.
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

// paint is a cell with its colour: full red, three quarters full yellow, else
// green; what holds nothing is faint.
func paint(mark rune, color bool) string {
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

// holders are the letters of the sendings that hold slots of [from, to), as far as there is space.
func (t Timeline) holders(from, to int64) string {
	var names []byte
	more := 0
	for i, s := range t.Sendings {
		at, _ := slices.BinarySearch(s.Slots, from)
		if at == len(s.Slots) || s.Slots[at] >= to {
			continue
		}
		if i < len(letters) && len(names) < mostHolders {
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

// legend says which sending has which letter.
func (t Timeline) legend(width int) []string {
	var out []string
	for i, s := range t.Sendings {
		if i == len(letters) {
			return append(out, fmt.Sprintf("and %d more", len(t.Sendings)-i))
		}
		line := fmt.Sprintf("%c %s", letters[i], s.ID)
		if len(s.Slots) > 0 {
			from := t.Grid.Start(s.Slots[0]).In(t.zone())
			to := t.Grid.Start(s.Slots[len(s.Slots)-1] + 1).In(t.zone())
			line += fmt.Sprintf("  %s to %s", from.Format("Mon 15:04"), to.Format("Mon 15:04"))
		}
		name := []rune(harmless(s.Name))
		if space := width - len(line) - 2; len(name) > space {
			name = append(name[:max(space-1, 0)], '…')
		}
		out = append(out, strings.TrimRight(line+"  "+string(name), " "))
	}
	return out
}

// harmless replaces what a terminal would act on.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
