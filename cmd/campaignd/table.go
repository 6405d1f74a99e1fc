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
	rows   [][]string
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

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
		if env.width > 0 {
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
	if g.wrap > 0 && env.width > 0 {
		columns = append(columns, table.ColumnConfig{Number: g.wrap, WidthMax: g.room(env.width), WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	for line := range strings.Lines(t.Render() + "\n") {
		if err := env.printf("%s\n", strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// room returns the width left for the wrapped column of a terminal.
func (g grid) room(width int) int {
	const border, least = 3, 24 // of a column; for words
	for i := range g.header {
		longest := len(g.header[i])
		for _, row := range g.rows {
			longest = max(longest, len([]rune(row[i])))
		}
		if i+1 != g.wrap {
			width -= longest + border
		}
	}
	return max(width-border-1, least)
}

func tableRow(cells []string, paint func(string) string) table.Row {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		cell = printable(strings.NewReplacer("\n", " ", "\t", " ").Replace(cell))
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

// count formats n with thousands separators.
func count[N int | int64 | uint32 | uint64](n N) string {
	digits := fmt.Sprintf("%d", n)
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
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
