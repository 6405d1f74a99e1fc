package csvfile

import (
	"bytes"
	"unicode/utf8"
)

// Position returns the column of cell c of record i on the record's first line, from 1
// in characters; for a cell that the record lacks, that of the record's end. It is 0 for
// a cell on a later line, since Line names the first. It reads the record again, so it
// serves only messages. Safe for concurrent use. In a spreadsheet it is the column of the sheet.
func (r *Reader) Position(b *Batch, i, c int) int {
	if r.split.sheet {
		return c + 1
	}
	return position(b.Raw(i), r.split.comma, r.split.eol, c)
}

// position is Position in the raw text of a record.
func position(raw []byte, comma, eol byte, cell int) int {
	at, _ := cellStart(raw, comma, cell)
	if bytes.IndexByte(raw[:at], eol) >= 0 {
		return 0
	}
	return utf8.RuneCount(raw[:at]) + 1
}

// cellStart returns the offset of a cell in a record, and 0; of a cell that the record
// lacks, the record's length and the number of cells after the last one, from 1.
func cellStart(raw []byte, comma byte, cell int) (at, missing int) {
	quoted := false // the cell began with a quote, so that the delimiter may be text in it
	for i := 0; i < len(raw) && cell > 0; i++ {
		switch c := raw[i]; {
		case c == '"' && i == at:
			quoted = true
		case c == '"' && quoted: // closing; the second of a doubled one opens again
			if i+1 < len(raw) && raw[i+1] == '"' {
				i++
			} else {
				quoted = false
			}
		case c == comma && !quoted:
			cell--
			at = i + 1
		}
	}
	if cell > 0 {
		return len(raw), cell
	}
	return at, 0
}
