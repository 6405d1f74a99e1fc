package csvfile

import (
	"bytes"
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// count adds record i to the reader's counters.
func (r *Reader) count(b *Batch, i int) {
	rec := &b.records[i]
	r.skipped.blank += uint64(rec.blank)
	r.skipped.empty += uint64(rec.empty)
	if !rec.wide || rec.fault != FaultNone {
		return
	}
	for c := range r.columns {
		cell := b.Cell(i, c)
		if !r.isOriginal(c) || len(cell) < len(r.columns) || !r.split.rowWide(cell, bytes.IndexByte(cell, r.split.eol) >= 0) {
			continue
		}
		if r.wide == nil {
			r.wide = make([]wideCells, len(r.columns))
		}
		if r.wide[c].count++; r.wide[c].count == 1 {
			r.wide[c].line = rec.line
		}
	}
}

// wideCells counts the quoted cells of a column that have a whole row's delimiters.
type wideCells struct {
	count uint64
	line  uint32 // of the first
}

// EmptyRows returns the number of rows skipped because all their cells are empty. It is
// complete after the last ReadBatch.
func (r *Reader) EmptyRows() int64 { return int64(r.skipped.empty) }

// Footers returns the number of rows that are known footers, such as "(2 rows affected)"
// (docs/contract.md 4). It is complete after the last ReadBatch.
func (r *Reader) Footers() int64 { return r.footers }

// Warnings returns facts that a person should know about the rows. It is complete after
// the last ReadBatch.
func (r *Reader) Warnings() []campaign.Problem {
	var w []campaign.Problem
	add := func(code string, line uint32, field, format string, args ...any) {
		w = append(w, campaign.Problem{Code: code, File: r.split.file, Line: int(line), Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if n := r.skipped.empty; n > 0 {
		add("rows-empty", r.split.firstEmpty, "", "%s skipped; this is the first", were(n, "row", " of empty cells"))
	}
	if n := r.skipped.blank; n > 0 {
		add("lines-blank", 0, "", "%s skipped", were(n, "blank line", " between the rows"))
	}
	switch r.split.trailing {
	case trailing1A:
		add("end-of-file-mark", 0, "", "the DOS end-of-file mark 0x1A at the end of the file was skipped")
	case trailingBlanks:
		add("blanks-trailing", 0, "", "white space after the last row was skipped")
	}
	for c, wide := range r.wide {
		if wide.count > 0 {
			add("cells-wide", wide.line, r.columns[c], "%s as many delimiters as a row, as if quotes of two rows had swallowed a recipient; this is the first",
				have(wide.count, "quoted cell"))
		}
	}
	return w
}

// were is "1 row of empty cells was" or "2 rows of empty cells were".
func were(n uint64, noun, which string) string {
	if n == 1 {
		return "1 " + noun + which + " was"
	}
	return fmt.Sprintf("%s%s were", display.Amount(n, noun), which)
}

// have is "1 cell has" or "2 cells have".
func have(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun + " has"
	}
	return display.Amount(n, noun) + " have"
}
