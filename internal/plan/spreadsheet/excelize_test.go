package spreadsheet

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// excelized returns a workbook of excelize whose only sheet, Sheet1, has these rows, changed by change.
func excelized(t *testing.T, change func(f *excelize.File) error, rows ...[]any) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, row := range rows {
		cell, err := excelize.CoordinatesToCellName(1, i+1)
		if err == nil {
			err = f.SetSheetRow("Sheet1", cell, &row)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := change(f); err != nil {
		t.Fatal(err)
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExcelizeCells(t *testing.T) {
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	formula := func(f *excelize.File) error { return f.SetCellFormula("Sheet1", "B2", "A2+1") }
	for name, c := range map[string]struct {
		cell   any
		change func(f *excelize.File) error
		want   string
		dates  []Dates
	}{
		"text":                     {`Ana "María", & <Cía>`, nil, `"Ana ""María"", & <Cía>"`, nil},
		"text of digits":           {"0034666777003", nil, "0034666777003", nil},
		"text with a line break":   {"a\r\nb", nil, "\"a\r\nb\"", nil},
		"whole number":             {int64(34666777003), nil, "34666777003", nil},
		"fraction":                 {12.5, nil, "12.5", nil},
		"true":                     {true, nil, "TRUE", nil},
		"day":                      {day, nil, "2026-11-28", []Dates{{Column: "b", Count: 1, Row: 2}}},
		"day with a time":          {day.Add(9*time.Hour + 30*time.Minute), nil, "2026-11-28T09:30:00", []Dates{{Column: "b", Count: 1, Row: 2}}},
		"formula with a result":    {7, formula, "7", nil},
		"formula without result":   {nil, formula, "#NO-VALUE!", nil},
		"error value":              {"#N/A", nil, "#N/A", nil},
		"first of two that merge":  {"x", func(f *excelize.File) error { return f.MergeCell("Sheet1", "B2", "B3") }, "x", nil},
		"second of two that merge": {"hidden by the merge", func(f *excelize.File) error { return f.MergeCell("Sheet1", "A2", "B2") }, "", nil},
		"leading zeros": {801, func(f *excelize.File) error {
			code := "00000"
			style, err := f.NewStyle(&excelize.Style{CustomNumFmt: &code})
			if err != nil {
				return err
			}
			return f.SetCellStyle("Sheet1", "B2", "B2", style)
		}, "00801", nil},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*excelize.File) error { return nil }
			}
			got, dates, err := convert(t, excelized(t, change, []any{"a", "b"}, []any{1, c.cell}), nil)
			if want := "a,b\n1," + c.want + "\n"; err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			if diff := cmp.Diff(c.dates, dates); diff != "" {
				t.Errorf("dates (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExcelizeHiddenRowsAreRefused(t *testing.T) {
	hide := func(f *excelize.File) error { return f.SetRowVisible("Sheet1", 3, false) }
	_, _, err := convert(t, excelized(t, hide, []any{"phone"}, []any{1}, []any{2}, []any{3}), nil)
	wantRefusal(t, err, "rows-hidden", "a.xlsx:3:")
}

func TestExcelizeSheets(t *testing.T) {
	fits := func(columns []string) bool { return slices.Contains(columns, "phone") }
	second := func(header string, visible bool) func(f *excelize.File) error {
		return func(f *excelize.File) error {
			if _, err := f.NewSheet("June"); err != nil {
				return err
			}
			if err := f.SetCellStr("June", "A1", header); err != nil {
				return err
			}
			return f.SetSheetVisible("June", visible)
		}
	}
	for name, c := range map[string]struct {
		change func(f *excelize.File) error
		code   string
	}{
		"both fit":            {second("phone", true), "sheet-several"},
		"the other is notes":  {second("notes", true), ""},
		"the other is hidden": {second("phone", false), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := convert(t, excelized(t, c.change, []any{"phone"}, []any{34666777003}), fits)
			wantRefusal(t, err, c.code)
			if want := "phone\n34666777003\n"; c.code == "" && got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
