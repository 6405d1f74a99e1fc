package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"campaignd/internal/campaign"
)

// printJSON prints v indented, followed by a line end.
func (env *environment) printJSON(v any) error {
	enc := json.NewEncoder(env.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
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
	var left []string
	if env.width > 0 && !env.wide {
		g, left = g.fit(env.width)
	}
	t := table.NewWriter()
	style := plainStyle()
	if env.terminal {
		style = table.StyleRounded
		style.Format.Header = text.FormatDefault
		if env.color {
			style.Color.Header = text.Colors{text.Bold}
		}
		if env.width > 0 && !env.wide {
			style.Size.WidthMax = env.width
		}
	}
	t.SetStyle(style)
	t.AppendHeader(tableRow(g.header, nil))
	for _, cells := range g.rows {
		t.AppendRow(tableRow(cells, env.paint))
	}
	var columns []table.ColumnConfig
	for _, c := range g.right {
		columns = append(columns, table.ColumnConfig{Number: c + 1, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	if g.wrap > 0 && env.width > 0 && !env.wide {
		columns = append(columns, table.ColumnConfig{Number: g.wrap, WidthMax: g.room(env.width), WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	for line := range strings.Lines(t.Render() + "\n") {
		if err := env.printf("%s\n", strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return env.printf("Left out to fit %d columns: %s; --wide shows all.\n", env.width, strings.Join(left, ", "))
	}
	return nil
}

// leastWrap is the least width of a wrapped column, for words.
const leastWrap = 24

// fit leaves out whole columns, in the order of drop, until the table fits width, and returns
// their titles. A column that wraps counts with its least width.
func (g grid) fit(width int) (grid, []string) {
	const border = 3 // of a column
	need := 1
	widths := make([]int, len(g.header))
	for i := range g.header {
		widths[i] = g.longest(i)
		if i+1 == g.wrap {
			widths[i] = min(widths[i], leastWrap)
		}
		need += widths[i] + border
	}
	gone := map[int]bool{}
	var left []string
	for _, i := range g.drop {
		if need <= width {
			break
		}
		gone[i] = true
		left = append(left, g.header[i])
		need -= widths[i] + border
	}
	return g.without(gone), left
}

// without returns the table without some columns.
func (g grid) without(gone map[int]bool) grid {
	out := grid{}
	place := map[int]int{}
	for i, title := range g.header {
		if !gone[i] {
			place[i] = len(out.header)
			out.header = append(out.header, title)
		}
	}
	for _, i := range g.right {
		if !gone[i] {
			out.right = append(out.right, place[i])
		}
	}
	if g.wrap > 0 && !gone[g.wrap-1] {
		out.wrap = place[g.wrap-1] + 1
	}
	for _, row := range g.rows {
		var cells []string
		for i, cell := range row {
			if !gone[i] {
				cells = append(cells, cell)
			}
		}
		out.rows = append(out.rows, cells)
	}
	return out
}

// longest returns the width of a column's widest cell.
func (g grid) longest(i int) int {
	most := text.StringWidth(g.header[i])
	for _, row := range g.rows {
		most = max(most, text.StringWidth(row[i]))
	}
	return most
}

// room returns the width left for the wrapped column of a terminal.
func (g grid) room(width int) int {
	const border = 3 // of a column
	for i := range g.header {
		if i+1 != g.wrap {
			width -= g.longest(i) + border
		}
	}
	return max(width-border-1, leastWrap)
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

// printf writes to out and returns the error of a closed pipe, which ends the command.
func (env *environment) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(env.out, format, args...); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
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
		if err := env.printf("%-*s  %s\n", width, p[0], env.paint(printable(p[1]))); err != nil {
			return err
		}
	}
	return nil
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

// bytesText formats a size with a binary unit.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n), "KMGTPE"
	i := -1
	for value >= unit && i < len(units)-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[i])
}

// lines prints each line and returns the first error.
func lines(w io.Writer, all []string) error {
	for _, line := range all {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}
