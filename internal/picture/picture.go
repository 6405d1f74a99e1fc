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
	Reserved    map[int64]uint32 // messages by number of slot; those left out are empty
	Sendings    []Sending        // in the order in which they get their letters
	Zone        *time.Location   // for what is written beside the picture; nil: UTC
}

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

const (
	labelWidth = len("Mon 02 Jan 15:04 ") // before the cells
	sumWidth   = 24                       // after them: messages and letters
	fewestCell = 12                       // however narrow the terminal is
)

// layout is how slots become cells and cells become rows.
type layout struct {
	perCell int64 // slots
	perRow  int64 // slots, a multiple of perCell
	first   int64 // the slot with which the first row begins
}

// layout chooses the longest rows of whole hours that fit into width.
func (t Timeline) layout(width int) layout {
	cells := int64(max(width-labelWidth-sumWidth, fewestCell))
	slot := t.Grid.Slot
	l := layout{perCell: 1, perRow: 1}
	if perHour := int64(time.Hour / slot); perHour > cells {
		fewest := (perHour + cells - 1) / cells
		l.perCell = fewest
		for n := 2 * fewest; n >= fewest; n-- {
			if perHour%n == 0 { // a share of the hour, so that rows stay hours
				l.perCell = n
			}
		}
	}
	rowLength := slot // a row a slot where slots are longer than a day
	for _, hours := range []time.Duration{1, 2, 3, 4, 6, 8, 12, 24} {
		n := int64(hours * time.Hour / slot)
		if n >= 1 && n <= cells*l.perCell {
			l.perRow, rowLength = (n+l.perCell-1)/l.perCell*l.perCell, hours*time.Hour
		}
	}
	// Rows begin on the local clock's round hours as far as slots do.
	local := t.From.In(t.zone())
	sinceMidnight := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second
	l.first = t.Grid.Number(t.From.Add(-(sinceMidnight % max(rowLength, time.Hour))))
	return l
}

func (t Timeline) zone() *time.Location {
	if t.Zone == nil {
		return time.UTC
	}
	return t.Zone
}

// Lines draws the timeline into lines of at most width cells (80 if width is
// not positive; a width below 53 can't be kept), the legend last.
func (t Timeline) Lines(width int, color bool) []string {
	if width <= 0 {
		width = 80
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
			line += fmt.Sprintf("  %d of %d%s", sum, room, t.holders(row, row+l.perRow))
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	return append(out, t.legend(l, width)...)
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
		if i < len(letters) && len(names) < 6 {
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

// legend says what cells and letters mean.
func (t Timeline) legend(l layout, width int) []string {
	legend := "· empty  ▁▂▃▄▅▆▇ partly full  █ full  - closed"
	if l.perCell > 1 {
		legend += fmt.Sprintf("; a cell is %d slots", l.perCell)
	}
	out := []string{"", legend}
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
