package recipients

import (
	"fmt"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

// text is a string of the layout with its variables as indexes of columns.
type text struct {
	column string // of its first variable, "" if it has none
	first  int    // that column's index, -1 if there is none
	parts  []textPart
	cell   int // the column, if the text is a single variable without filters; else -1
}

type textPart struct {
	literal []byte
	cell    int // -1 for a literal
	filters []document.Filter
}

func compile(t document.Text, columns []string) (text, error) {
	out := text{cell: -1, first: -1}
	for _, s := range t.Segments {
		if s.Variable == nil {
			out.parts = append(out.parts, textPart{literal: []byte(s.Text), cell: -1})
			continue
		}
		i, filters := s.Variable.Resolve(columns)
		if i < 0 {
			return text{}, fmt.Errorf("check rows: the CSV has no column %q", s.Variable.Base)
		}
		if out.column == "" {
			out.column, out.first = columns[i], i
		}
		out.parts = append(out.parts, textPart{cell: i, filters: filters})
	}
	if len(out.parts) == 1 && len(out.parts[0].filters) == 0 {
		out.cell = out.parts[0].cell
	}
	return out, nil
}

// enlarges adds t's uses of each column to uses and reports whether rows become many
// times larger.
func (t *text) enlarges(uses []int) bool {
	large := false
	for _, p := range t.parts {
		if p.cell < 0 {
			large = large || len(p.literal) > 512
			continue
		}
		uses[p.cell]++
		large = large || uses[p.cell] > 8
	}
	return large || len(t.parts) > 64
}

// value returns the text for record i. It is valid until scratch or the batch is used
// again. Text beyond MaxValues is cut: it is refused for its length anyway.
func (t *text) value(scratch *[]byte, b *csvfile.Batch, i int) []byte {
	if t.cell >= 0 {
		return b.Cell(i, t.cell)
	}
	start := len(*scratch)
	for k := range t.parts {
		if len(*scratch)-start > MaxValues {
			break
		}
		*scratch = append(*scratch, t.parts[k].bytes(b, i)...)
	}
	return (*scratch)[start:len(*scratch):len(*scratch)]
}

// appendTo appends the text for record i to c and returns its length. It stops within a
// text of several parts that is longer than most.
func (t *text) appendTo(c *campaign.Column, b *csvfile.Batch, i, most int) int {
	if t.cell >= 0 {
		v := b.Cell(i, t.cell)
		c.Append(v)
		return len(v)
	}
	size := 0
	for k := range t.parts {
		v := t.parts[k].bytes(b, i)
		if size += len(v); size > most {
			break
		}
		c.Data = append(c.Data, v...)
	}
	c.Ends = append(c.Ends, uint32(len(c.Data)))
	return size
}

// hasDefault reports whether an empty cell is replaced.
func (p *textPart) hasDefault() bool {
	return slices.ContainsFunc(p.filters, func(f document.Filter) bool { return f.Name == "default" })
}

func (p *textPart) bytes(b *csvfile.Batch, i int) []byte {
	switch {
	case p.cell < 0:
		return p.literal
	case len(p.filters) > 0:
		return document.Apply(p.filters, nil, b.Cell(i, p.cell))
	}
	return b.Cell(i, p.cell)
}
