package csvfile

import (
	"bytes"
	"strconv"
	"strings"
)

// LineColumn and ErrorColumn are the columns that rejected.csv adds to those of the CSV
// (docs/contract.md 9).
const (
	LineColumn  = "_line"
	ErrorColumn = "_error"
)

// AppendRejectedHeader appends the first line of rejected.csv: the columns of the CSV,
// then _line and _error, which replace columns of these names from an earlier round. It
// begins with a byte order mark if the CSV was not plain UTF-8, so that the program that
// wrote the CSV recognizes the encoding. Safe for concurrent use.
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

// AppendRejected appends record i of b as a line of rejected.csv, with its line and the
// reason in the columns of their names; surplus cells follow them. A row that is
// corrected belongs to the same layout; a row that is dropped unchanged is refused again.
// Safe for concurrent use.
func (r *Reader) AppendRejected(dst []byte, b *Batch, i int, reason string) []byte {
	fault, _ := b.Fault(i)
	raw := b.Raw(i)
	again := r.originalColumns != nil
	if again && (fault == FaultNone || fault == FaultNextTo) {
		for _, c := range r.originalColumns {
			dst = append(r.appendCell(dst, b.Cell(i, c)), r.split.comma)
		}
		dst = r.appendReason(dst, b.Line(i), reason)
		if fault == FaultNextTo {
			dst = append(dst, r.split.comma)
		}
		return r.appendLineEnd(dst)
	}
	columns := len(r.columns)
	if again {
		columns = len(r.originalColumns)
	}
	end, missing := cellStart(raw, r.split.comma, columns)
	surplus := raw[end:]
	cells := raw[:max(end-1, 0)]
	if missing > 0 {
		cells = raw
	}
	dst = append(dst, cells...)
	for range missing {
		dst = append(dst, r.split.comma)
	}
	if missing == 0 {
		dst = append(dst, r.split.comma)
	}
	dst = r.appendReason(dst, b.Line(i), reason)
	switch {
	case missing == 0: // surplus cells
		dst = append(append(dst, r.split.comma), surplus...)
	case missing > 1 || fault == FaultDelimiter || fault == FaultNextTo || again:
		dst = append(dst, r.split.comma) // the number of cells must stay wrong
	}
	return r.appendLineEnd(dst)
}

func (r *Reader) appendReason(dst []byte, line uint32, reason string) []byte {
	dst = strconv.AppendUint(dst, uint64(line), 10)
	dst = append(dst, r.split.comma, '"')
	dst = append(dst, strings.ReplaceAll(reason, `"`, `""`)...)
	return append(dst, '"')
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
