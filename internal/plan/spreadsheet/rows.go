package spreadsheet

import (
	"bytes"
	"encoding/xml"
	"strconv"

	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
)

// The size of a sheet as the format has it.
const (
	maxRow    = 1 << 20
	maxColumn = 1 << 14
)

// row is one row of a sheet. It is used again for the next.
type row struct {
	number int // from 1
	hidden bool
	cells  []cell // those that aren't empty, from left to right
	data   []byte // of all texts
}

// cell is a cell with a text.
type cell struct {
	column     int // from 0
	start, end int // in row.data
	date       bool
}

func (r *row) text(c *cell) []byte { return r.data[c.start:c.end] }

// texts returns the texts by column.
func (r *row) texts() []string {
	if len(r.cells) == 0 {
		return nil
	}
	all := make([]string, min(r.cells[len(r.cells)-1].column, csvfile.MaxColumns)+1)
	for i := range r.cells {
		if c := &r.cells[i]; c.column < len(all) {
			all[c.column] = string(bytes.TrimSpace(r.text(c)))
		}
	}
	return all
}

// rows calls do with every row of a sheet that the workbook lists, in order.
func (b *workbook) rows(s *sheet, do func(*row) error) error {
	x, err := b.open(s.file)
	if err != nil {
		return err
	}
	defer x.close()
	var r row
	return x.each(func(e xml.StartElement) error {
		if e.Name.Local != "row" {
			return nil
		}
		number := r.number + 1
		if n := attr(e, "r"); n != "" {
			var err error
			if number, err = strconv.Atoi(n); err != nil || number <= r.number || number > maxRow {
				return b.broken("row %q of sheet %q is out of order", clip(n), s.name)
			}
		}
		r.number, r.hidden = number, isTrue(attr(e, "hidden"))
		r.cells, r.data = r.cells[:0], r.data[:0]
		if err := x.cells(&r); err != nil {
			return err
		}
		if err := b.ctx.Err(); err != nil {
			return err
		}
		return do(&r)
	})
}

// cells reads the cells of a row up to its end.
func (x *document) cells(r *row) error {
	column := -1
	return x.children(func(e xml.StartElement) error {
		if e.Name.Local != "c" {
			return nil
		}
		column++
		if ref := attr(e, "r"); ref != "" {
			c, ok := columnOf(ref)
			if !ok || c < column {
				return x.b.broken("the cell %q is out of order", clip(ref))
			}
			column = c
		}
		start := len(r.data)
		date, err := x.cell(r, e)
		if err != nil {
			return err
		}
		if len(r.data) > csvfile.MaxRecord {
			return x.b.refuse("row-long", r.number, "the row has more than the %s that a row may have", display.Amount(csvfile.MaxRecord, "byte"))
		}
		if len(bytes.TrimSpace(r.data[start:])) == 0 {
			r.data = r.data[:start]
			return nil
		}
		if column >= csvfile.MaxColumns {
			return x.b.refuse("columns-many", r.number, "the row has a cell beyond the %s that a file may have", display.Amount(csvfile.MaxColumns, "column"))
		}
		r.cells = append(r.cells, cell{column, start, len(r.data), date})
		return nil
	}, nil)
}

// columnOf returns the column of a cell's reference, such as B17, from 0.
func columnOf(ref string) (int, bool) {
	n := 0
	for i := range len(ref) {
		c := ref[i]
		switch {
		case c >= 'A' && c <= 'Z':
			n = n*26 + int(c-'A') + 1
		case c >= '0' && c <= '9' && i > 0:
			return n - 1, true
		default:
			return 0, false
		}
		if n > maxColumn {
			return 0, false
		}
	}
	return 0, false
}

// cell appends what a cell shows to r.data and reports whether it is a date.
func (x *document) cell(r *row, e xml.StartElement) (date bool, err error) {
	kind, style := attr(e, "t"), attr(e, "s")
	start, formula, result, text := len(r.data), false, false, false
	err = x.children(func(e xml.StartElement) (err error) {
		switch e.Name.Local {
		case "v":
			result = true
			r.data, err = x.text(r.data[:start])
		case "is":
			text = true
			r.data, err = x.richText(r.data[:start])
		case "f":
			formula = true
			err = x.skip()
		case "extLst":
			err = x.skip()
		}
		return err
	}, nil)
	if err != nil {
		return false, err
	}
	value := r.data[start:]
	switch {
	case text, kind == "str" && (result || !formula), kind == "inlineStr":
		r.data = r.data[:start+len(unescape(value))]
		return false, nil
	case len(bytes.TrimSpace(value)) == 0:
		r.data = r.data[:start]
		if formula {
			r.data = append(r.data, csvfile.NoValue...)
		}
		return false, nil
	case kind == "s":
		i, err := strconv.Atoi(string(bytes.TrimSpace(value)))
		shared, ok := x.b.texts.get(i)
		if err != nil || !ok {
			return false, x.b.broken("a cell of row %d has a text that isn't there", r.number)
		}
		r.data = append(r.data[:start], shared...)
		return false, nil
	case kind == "b":
		shown := "FALSE"
		if isTrue(string(bytes.TrimSpace(value))) {
			shown = "TRUE"
		}
		r.data = append(r.data[:start], shown...)
		return false, nil
	case kind == "e":
		return false, nil // #N/A and its like, which refuse their row
	case kind == "d":
		r.data = append(r.data[:start], bytes.TrimSuffix(bytes.TrimSpace(value), []byte("T00:00:00"))...)
		return true, nil
	}
	shown, date := x.b.format(style).show(string(bytes.TrimSpace(value)), x.b.is1904)
	r.data = append(r.data[:start], shown...)
	return date, nil
}

// format returns the format of a cell's style.
func (b *workbook) format(style string) *format {
	if i, err := strconv.Atoi(style); err == nil && i >= 0 && i < len(b.formats) {
		return &b.formats[i]
	}
	return &format{kind: general}
}
