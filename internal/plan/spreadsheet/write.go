package spreadsheet

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"campaignd/internal/display"
)

// bom begins the CSV: rejected.csv then has it too, and spreadsheet programs need it.
const bom = "\ufeff"

// rowWriter writes the rows of a sheet as CSV.
type rowWriter struct {
	b       *workbook
	w       *bufio.Writer
	line    int      // last row that was written
	columns []string // of the header
	written int64
	hidden  int // hidden rows that have cells
	first   int // row of the first of them
	dates   []Dates
}

func newRowWriter(b *workbook, w io.Writer) *rowWriter {
	return &rowWriter{b: b, w: bufio.NewWriterSize(w, 256<<10)}
}

// row writes a row, after a blank line for each row before it that has no cells.
func (o *rowWriter) row(r *row) error {
	if len(r.cells) == 0 {
		return nil
	}
	if r.hidden {
		if o.hidden++; o.hidden == 1 {
			o.first = r.number
		}
	}
	if o.line == 0 {
		o.put(bom)
	}
	for o.line++; o.line < r.number; o.line++ {
		o.put("\n")
	}
	if o.columns == nil {
		o.columns = r.texts()
		o.dates = make([]Dates, len(o.columns))
	}
	o.cells(r)
	if o.written > o.b.Most {
		return o.b.refuse("archive-large", r.number, "the sheet has more than %s of text, which is what %s allows: split it into several drops", display.Amount(o.b.Most, "byte"), o.b.Limit)
	}
	return nil
}

// cells writes the cells of a row, at least one for each column of the header.
func (o *rowWriter) cells(r *row) {
	next := 0
	for i := range r.cells {
		c := &r.cells[i]
		for ; next < c.column; next++ {
			o.put(",")
		}
		o.cell(r.text(c))
		if c.date && c.column < len(o.dates) {
			d := &o.dates[c.column]
			if d.Count++; d.Count == 1 {
				d.Column, d.Row = o.columns[c.column], r.number
			}
		}
	}
	for ; next < len(o.columns)-1; next++ {
		o.put(",")
	}
	o.put("\n")
}

// cell writes one cell, in quotes if it has anything that CSV gives a meaning.
func (o *rowWriter) cell(text []byte) {
	if !bytes.ContainsAny(text, "\"\r\n,;\t|\x1A") && text[0] != ' ' {
		o.putBytes(text)
		return
	}
	o.put("\"")
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			break
		}
		o.putBytes(text[:i+1])
		o.put("\"")
		text = text[i+1:]
	}
	o.putBytes(text)
	o.put("\"")
}

// put writes text. The buffer remembers an error until end.
func (o *rowWriter) put(text string) {
	n, _ := o.w.WriteString(text)
	o.written += int64(n)
}

func (o *rowWriter) putBytes(text []byte) {
	n, _ := o.w.Write(text)
	o.written += int64(n)
}

// end writes what is buffered. Hidden rows refuse the workbook: nobody saw them.
func (o *rowWriter) end() error {
	if err := o.w.Flush(); err != nil {
		return fmt.Errorf("write the sheet: %w", err)
	}
	if o.hidden > 0 {
		rows := "1 row is"
		if o.hidden > 1 {
			rows = display.Number(o.hidden) + " rows are"
		}
		return o.b.refuse("rows-hidden", o.first, "%s hidden or filtered out, this is the first: show them, or delete them, so that it is certain who is meant", rows)
	}
	return nil
}

// dateColumns returns the columns that have dates.
func (o *rowWriter) dateColumns() []Dates {
	var all []Dates
	for _, d := range o.dates {
		if d.Count > 0 {
			all = append(all, d)
		}
	}
	return all
}
