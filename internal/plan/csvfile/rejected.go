package csvfile

import (
	"bytes"
	"strconv"
	"strings"
)

// LineColumn and ErrorColumn are the columns that rejected.csv has beyond those of the CSV (docs/contract.md 9).
const (
	LineColumn  = "_line"
	ErrorColumn = "_error"
)

// AppendRejectedHeader appends the first line of rejected.csv: the columns of
// the CSV, then _line and _error. Columns of these names, left from an earlier
// round of mending, are replaced. It begins with a byte order mark if the CSV was not plain
// UTF-8, so that the program it came from takes it for what it is. Safe for concurrent use.
func (r *Reader) AppendRejectedHeader(dst []byte) []byte {
	if r.writeBOM {
		dst = append(dst, bomUTF8...)
	}
	for i, name := range r.columns {
		if r.isOriginal(i) {
			dst = append(r.appendCell(dst, []byte(name)), r.split.comma)
		}
	}
	dst = append(dst, LineColumn...)
	dst = append(dst, r.split.comma)
	dst = append(dst, ErrorColumn...)
	return r.appendLineEnd(dst)
}

// AppendRejected appends record i of b as a line of rejected.csv, with its line
// and the reason. What was wrong with the record stays wrong: mended it is a row of
// the same layout, dropped again as it is it is refused again. Safe for concurrent use.
func (r *Reader) AppendRejected(dst []byte, b *Batch, i int, reason string) []byte {
	fault, cells := b.Fault(i)
	if fault == FaultNone && r.originalColumns != nil {
		for _, c := range r.originalColumns {
			dst = append(r.appendCell(dst, b.Cell(i, c)), r.split.comma)
		}
	} else {
		dst = append(append(dst, b.Raw(i)...), r.split.comma)
	}
	dst = strconv.AppendUint(dst, uint64(b.Line(i)), 10)
	dst = append(dst, r.split.comma, '"')
	dst = append(dst, strings.ReplaceAll(reason, `"`, `""`)...)
	dst = append(dst, '"')
	now := len(r.columns) + 2 // columns of rejected.csv
	if r.originalColumns != nil {
		now = len(r.originalColumns) + 2
	}
	if fault == FaultDelimiter || (fault == FaultCells || fault == FaultCutOff) && cells+2 == now {
		// The two cells more must not make a wrong number of cells right.
		dst = append(dst, r.split.comma)
	}
	return r.appendLineEnd(dst)
}

func (r *Reader) isOriginal(column int) bool {
	name := r.columns[column]
	return r.originalColumns == nil || name != LineColumn && name != ErrorColumn
}

func (r *Reader) appendCell(dst, cell []byte) []byte {
	if len(cell) == 0 || !bytes.ContainsAny(cell, "\"\r\n"+candidates) && cell[0] != ' ' {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	dst = append(dst, bytes.ReplaceAll(cell, []byte{'"'}, []byte(`""`))...)
	return append(dst, '"')
}

func (r *Reader) appendLineEnd(dst []byte) []byte {
	if r.crlf {
		return append(dst, '\r', '\n')
	}
	return append(dst, '\n')
}
