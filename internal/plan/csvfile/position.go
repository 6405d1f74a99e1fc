package csvfile

import (
	"bytes"
	"unicode/utf8"
)

// Position is where cell c of record i begins on the record's first line, from 1 in
// characters; of a cell that the record lacks, where the record ends. It is 0 for what stands on
// a later line, since Line names the first. It serves messages: it goes over the
// record anew. Safe for concurrent use.
func (r *Reader) Position(b *Batch, i, c int) int {
	return position(b.Raw(i), r.split.comma, r.split.eol, c)
}

// position is Position in the raw text of a record.
func position(raw []byte, comma, eol byte, cell int) int {
	at, quotes := 0, false // quotes: the cell began with one, so that the delimiter may be text in it
	for i := 0; i < len(raw) && cell > 0; i++ {
		switch c := raw[i]; {
		case c == '"' && i == at:
			quotes = true
		case c == '"' && quotes: // closing; of a doubled one the second opens again
			if i+1 < len(raw) && raw[i+1] == '"' {
				i++
			} else {
				quotes = false
			}
		case c == comma && !quotes:
			cell--
			at = i + 1
		}
	}
	if cell > 0 {
		at = len(raw)
	}
	if bytes.IndexByte(raw[:at], eol) >= 0 {
		return 0
	}
	return utf8.RuneCount(raw[:at]) + 1
}
