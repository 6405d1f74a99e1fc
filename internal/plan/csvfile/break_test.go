package csvfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestBrokenCellIsNeverRead: a line break in any unquoted cell of a valid file leaves
// no row that the file didn't have.
func TestBrokenCellIsNeverRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		columns := rapid.IntRange(2, 5).Draw(rt, "columns")
		cell := rapid.OneOf(rapid.StringMatching(`[A-Za-zñé]{1,8}( [A-Za-z0-9]{1,5}){0,2}`), rapid.StringMatching(`\+?[0-9]{3,11}`), rapid.Just(""))
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, columns, columns), 1, 12).Draw(rt, "rows")
		names := make([]string, columns)
		for i := range names {
			names[i] = fmt.Sprintf("column%d", i)
		}
		row := rapid.IntRange(0, len(rows)-1).Draw(rt, "row")
		column := rapid.IntRange(0, columns-1).Draw(rt, "column")
		broken := rows[row][column]
		at := rapid.IntRange(0, len(broken)).Draw(rt, "at")
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(rt, "end")
		var b strings.Builder
		b.WriteString(strings.Join(names, ",") + end)
		for i, cells := range rows {
			if i == row {
				cells = slices.Clone(cells)
				cells[column] = broken[:at] + end + broken[at:]
			}
			b.WriteString(strings.Join(cells, ",") + end)
		}
		data := strings.ToValidUTF8(b.String(), "?")
		r, problems := open(t, []byte(data), rapid.SampledFrom([]int{1, 20, blockSize}).Draw(rt, "block"), names...)
		if problems != "" {
			rt.Fatal(problems)
		}
		read, why := all(t, r)
		if why != "" {
			rt.Fatal(why)
		}
		for _, one := range read {
			if one.Fault == FaultNone && !slices.ContainsFunc(rows, func(cells []string) bool { return slices.Equal(cells, one.Cells) }) {
				rt.Fatalf("line %d has the cells %q, which no row has:\n%s", one.Line, one.Cells, data)
			}
		}
	})
}
