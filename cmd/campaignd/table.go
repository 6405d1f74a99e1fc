package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"campaignd/internal/campaign"
)

// printJSON prints v indented, followed by a line end.
func (env *environment) printJSON(v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		env.printErr = fmt.Errorf("print JSON: %w", err)
	}
	return env.printf("%s", b.String())
}

// grid is the content of a table.
type grid struct {
	header []string
	right  []int // indexes of right-aligned columns
	wrap   int   // number of the column that wraps on a narrow terminal, from 1; 0: none, long lines are cut
	drop   []int // indexes of columns to leave out on a narrow terminal, the first one first
	rows   [][]string
}

// add adds a row. Its cells may come from drops.
func (g *grid) add(cells ...string) {
	for i, cell := range cells {
		cells[i] = printable(strings.NewReplacer("\n", " ", "\t", " ").Replace(cell))
	}
	g.rows = append(g.rows, cells)
}

// printGrid prints a table: with borders on a terminal, else as plain aligned
// text that other programs can parse.
func (env *environment) printGrid(g grid) error {
	t := table.NewWriter()
	style := plainStyle()
	if env.terminal {
		style = table.StyleRounded
		style.Format.Header = text.FormatDefault
		if env.color {
			style.Color.Header = text.Colors{text.Bold}
		}
	}
	narrow := env.width > 0 && !env.wide
	var left []int
	if narrow {
		left = g.leftOut(env.width)
		if env.terminal {
			style.Size.WidthMax = env.width
		}
	}
	t.SetStyle(style)
	t.AppendHeader(tableRow(g.header, nil))
	for _, cells := range g.rows {
		t.AppendRow(tableRow(cells, env.paint))
	}
	columns := make([]table.ColumnConfig, len(g.header))
	for i := range columns {
		columns[i] = table.ColumnConfig{Number: i + 1, Hidden: slices.Contains(left, i)}
		if slices.Contains(g.right, i) {
			columns[i].Align, columns[i].AlignHeader = text.AlignRight, text.AlignRight
		}
		if narrow && i+1 == g.wrap {
			columns[i].WidthMax, columns[i].WidthMaxEnforcer = g.room(env.width, left), text.WrapSoft
		}
	}
	t.SetColumnConfigs(columns)
	for line := range strings.Lines(t.Render() + "\n") {
		env.printf("%s\n", strings.TrimRight(line, " \n"))
	}
	if len(left) > 0 {
		titles := make([]string, len(left))
		for k, i := range left {
			titles[k] = g.header[i]
		}
		env.printf("Left out to fit %d columns: %s; --wide shows all.\n", env.width, strings.Join(titles, ", "))
	}
	return env.printErr
}

const (
	leastWrap    = 24 // least width of a wrapped column, for words
	columnBorder = 3  // width of a column's border and blanks
)

// leftOut returns the columns to leave out, in the order of drop, so that the table fits width. A
// column that wraps counts with its least width.
func (g grid) leftOut(width int) []int {
	need := 1
	for i := range g.header {
		need += g.least(i) + columnBorder
	}
	for n, i := range g.drop {
		if need <= width {
			return g.drop[:n]
		}
		need -= g.least(i) + columnBorder
	}
	return g.drop
}

// least returns the least width of a column.
func (g grid) least(i int) int {
	if i+1 == g.wrap {
		return min(g.longest(i), leastWrap)
	}
	return g.longest(i)
}

// longest returns the width of a column's widest cell.
func (g grid) longest(i int) int {
	most := text.StringWidth(g.header[i])
	for _, row := range g.rows {
		most = max(most, text.StringWidth(row[i]))
	}
	return most
}

// room returns the width that the other columns leave for the wrapped one.
func (g grid) room(width int, left []int) int {
	for i := range g.header {
		if i+1 != g.wrap && !slices.Contains(left, i) {
			width -= g.longest(i) + columnBorder
		}
	}
	return max(width-columnBorder-1, leastWrap)
}

func tableRow(cells []string, paint func(string) string) table.Row {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		if paint != nil {
			cell = paint(cell)
		}
		row[i] = cell
	}
	return row
}

// plainStyle separates columns by two spaces and draws no borders.
func plainStyle() table.Style {
	style := table.StyleDefault
	style.Name = "plain"
	style.Box = table.BoxStyle{PaddingRight: "  ", UnfinishedRow: " ~"}
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	return style
}

// paint colors a cell that is a state, an outcome or a level.
func (env *environment) paint(cell string) string {
	if !env.color {
		return cell
	}
	var colors text.Colors
	switch cell {
	case string(campaign.StateSending), string(campaign.StateCompleted), "ok":
		colors = text.Colors{text.FgGreen}
	case string(campaign.StatePaused), string(campaign.StateHeld), "warning":
		colors = text.Colors{text.FgYellow}
	case string(campaign.StateCanceled), string(campaign.StateRejected), "failure":
		colors = text.Colors{text.FgRed}
	default:
		return cell
	}
	return colors.Sprint(cell)
}

// bold formats a heading.
func (env *environment) bold(s string) string {
	if !env.color {
		return s
	}
	return text.Colors{text.Bold}.Sprint(s)
}

// printf writes to out. Like a bufio.Writer it remembers its first error, such as that of a full disk,
// prints nothing after it and returns it from then on: it is enough to check the last call. end reports it
// in any case.
func (env *environment) printf(format string, args ...any) error {
	if env.printErr == nil {
		if _, err := fmt.Fprintf(env.out, format, args...); err != nil {
			env.printErr = fmt.Errorf("print: %w", err)
		}
	}
	return env.printErr
}

// facts prints "name  value" lines with aligned names and omits empty values.
func (env *environment) facts(pairs ...[2]string) error {
	width := 0
	for _, p := range pairs {
		if p[1] != "" {
			width = max(width, len(p[0]))
		}
	}
	for _, p := range pairs {
		if p[1] == "" {
			continue
		}
		env.printf("%-*s  %s\n", width, p[0], env.paint(printable(p[1])))
	}
	return env.printErr
}

// instant formats t in the view's time zone, or returns "" for the zero time.
func (env *environment) instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(env.zone).Format("2006-01-02 15:04:05 MST")
}

// when formats t for a table: short on a terminal, in full for other programs.
func (env *environment) when(t time.Time) string {
	if !env.terminal || t.IsZero() {
		return env.instant(t)
	}
	return t.In(env.zone).Format("Jan 02 15:04")
}

// whenTitle returns the title of a column of when: with the time zone where when leaves it out.
func (env *environment) whenTitle(title string) string {
	if !env.terminal {
		return title
	}
	return fmt.Sprintf("%s (%s)", title, env.zone)
}

// span formats a length of time in its two largest units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	if d < 0 {
		return "-" + span(-d)
	}
	units := []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units[:len(units)-1] {
		if d < u.length {
			continue
		}
		text, next := fmt.Sprintf("%d%s", d/u.length, u.name), units[i+1]
		if rest := d % u.length / next.length; rest > 0 {
			text += fmt.Sprintf("%d%s", rest, next.name)
		}
		return text
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// lines prints each line.
func (env *environment) lines(all []string) error {
	for _, line := range all {
		env.printf("%s\n", line)
	}
	return env.printErr
}
