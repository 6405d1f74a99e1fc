package csvfile

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Why not encoding/csv: it returns no raw record (rejected.csv needs it), rewrites
// CRLF within quotes, continues after a stray quote as if the record certainly ended
// there, has no limit on a record, doesn't know a single CR, and needs two to three
// times as long to fill a batch (BenchmarkReader, BenchmarkEncodingCSVIntoBatch).
// FuzzSplitAgainstEncodingCSV checks that both return the same cells.

// anyCount is a splitter's columns before the header is known.
const anyCount = -1

// splitter splits text into records and cells (RFC 4180).
type splitter struct {
	file         string
	comma        byte
	eol          byte // '\n', or '\r' if every line ends with it
	columns      int  // cells of a good record; anyCount
	lenient      bool // see Options
	sheet        bool // see Options
	proven       bool // see Options
	maxRecord    int
	singleColumn bool     // one column, and no sep= line that names the delimiter
	header       []column // compared with rows that may repeat it
	line         uint32   // of the next byte, from 1
	blank, empty uint32   // blank lines and rows of empty cells since the last record
	firstEmpty   uint32   // line of the first row of empty cells, 0: none
	trailing     trailing // after the last row
	// Of a record that needs more bytes: the offset and line of the open quote, -1 if
	// there is none.
	openQuote int
	openLine  uint32
}

// trailing names the bytes after the last line end of a file that are no row.
type trailing uint8

const (
	trailingNothing trailing = iota
	trailingBlanks
	trailing1A // 0x1A, the end of file of DOS
)

// column is a name of the header as rows are compared with it.
type column struct {
	index int
	name  string // in NFC
}

// ones times a byte is that byte eight times.
const ones = 0x0101010101010101

// zeroBytes sets the high bit of the lowest byte of w that is zero. Higher bytes may
// be set wrongly: only the first counts.
func zeroBytes(w uint64) uint64 { return (w - ones) &^ w & highBits }

// nextSpecial returns the offset of the first byte at or after pos that may end a cell
// or is wrong in it: the delimiter, a quote, CR or LF; len(data) if there is none.
func (s *splitter) nextSpecial(data []byte, pos int) int {
	commas := uint64(s.comma) * ones
	for ; pos+8 <= len(data); pos += 8 {
		w := binary.LittleEndian.Uint64(data[pos:])
		m := zeroBytes(w^commas) | zeroBytes(w^'"'*ones) | zeroBytes(w^'\n'*ones) | zeroBytes(w^'\r'*ones)
		if m != 0 {
			return pos + bits.TrailingZeros64(m)>>3
		}
	}
	for ; pos < len(data); pos++ {
		if c := data[pos]; c == s.comma || c == '"' || c == '\n' || c == '\r' {
			return pos
		}
	}
	return pos
}

// split splits b.data from pos into records until its end, or until b has most
// records. It returns the offset of the first incomplete record. final says that no
// more bytes follow.
func (s *splitter) split(b *Batch, pos, most int, final bool) (int, error) {
	// Unescaped cells are appended after the text; data is the text alone.
	data := b.data[:len(b.data):len(b.data)]
	for len(b.records) < most {
		var wait bool
		pos, wait = s.skipBlank(data, pos, final)
		if pos == len(data) || wait {
			return pos, nil
		}
		line, side := s.line, len(b.data)
		rec := record{start: uint32(pos), line: line, first: uint32(len(b.cells)), blank: s.blank, empty: s.empty}
		next, done, err := s.record(b, data, pos, &rec, final)
		if err != nil {
			return pos, err
		}
		if !done {
			s.line, b.cells, b.data = line, b.cells[:rec.first], b.data[:side]
			if len(data)-pos > s.maxRecord+2 {
				return pos, s.tooLong(data, pos)
			}
			return pos, nil
		}
		if int(rec.end-rec.start) > s.maxRecord {
			s.openQuote, s.line = -1, line
			return pos, s.tooLong(data, pos)
		}
		pos = next
		if s.columns != anyCount {
			first := data[rec.start]
			if s.mayBeEmpty(first) && s.isEmpty(b, &rec) {
				b.cells, b.data = b.cells[:rec.first], b.data[:side]
				if s.empty++; s.firstEmpty == 0 {
					s.firstEmpty = line
				}
				continue
			}
			if rec.fault == FaultNone && s.mayRepeatHeader(first) && s.repeatsHeader(b, &rec) {
				rec.fault = FaultHeader
			}
		}
		s.blank, s.empty = 0, 0
		if rec.fault != FaultNone {
			b.cells = b.cells[:rec.first]
		}
		b.records = append(b.records, rec)
	}
	return pos, nil
}

// rewind continues before rec, which was split already.
func (s *splitter) rewind(rec *record) { s.line, s.blank, s.empty = rec.line, rec.blank, rec.empty }

// skipBlank skips blank lines. wait says that it needs more bytes to decide.
func (s *splitter) skipBlank(data []byte, pos int, final bool) (next int, wait bool) {
	for pos < len(data) {
		if c := data[pos]; c == ' ' || c == '\t' || c == 0x1A {
			end, dos := s.blanks(data, pos)
			switch {
			case end < len(data) && data[end] != '\n' && data[end] != '\r':
				return pos, false
			case end == len(data) && !final:
				return pos, len(data)-pos <= s.maxRecord
			case dos:
				s.trailing = trailing1A
			case end == len(data):
				s.trailing = max(s.trailing, trailingBlanks)
			}
			pos = end
			continue
		}
		n := lineEndLen(data[pos:], s.eol)
		if n == 0 && data[pos] == '\r' && endsInCR(data[pos:]) { // more may follow
			if !final {
				return pos, true
			}
			return len(data), false
		}
		if n == 0 {
			return pos, false
		}
		pos += n
		s.line++
		s.blank++
	}
	return pos, false
}

// cutMark cuts the end of file of DOS from data, the end of the file: it may follow the last cell.
func (s *splitter) cutMark(data []byte) []byte {
	text := bytes.TrimRight(data, "\x1A")
	if len(text) < len(data) {
		s.trailing = trailing1A
	}
	return text
}

// blanks returns the end of the blanks at pos, and whether there is a 0x1A among them.
func (s *splitter) blanks(data []byte, pos int) (end int, dos bool) {
	for end = pos; end < len(data); end++ {
		c := data[end]
		if c == s.comma || c != ' ' && c != '\t' && c != 0x1A {
			break
		}
		dos = dos || c == 0x1A
	}
	return end, dos
}

// lineEndLen returns the length of the line end at the beginning of data, 0 if there
// is none or more bytes are needed: LF, CRLF, CR CR LF, or CR in a file of CRs.
func lineEndLen(data []byte, eol byte) int {
	switch {
	case len(data) == 0:
		return 0
	case data[0] == eol:
		return 1
	case data[0] != '\r':
		return 0
	case len(data) > 1 && data[1] == '\n':
		return 2
	case len(data) > 2 && data[1] == '\r' && data[2] == '\n':
		return 3
	}
	return 0
}

// endsInCR reports whether data is a line end whose last bytes are missing.
func endsInCR(data []byte) bool {
	return len(data) == 1 && data[0] == '\r' || len(data) == 2 && data[0] == '\r' && data[1] == '\r'
}

// mayBeEmpty reports whether the cells of a record that begins with c may be blank.
func (s *splitter) mayBeEmpty(c byte) bool { return c == s.comma || c == '"' || c == ' ' || c == '\t' }

// mayRepeatHeader reports whether a record that begins with c may repeat the header.
func (s *splitter) mayRepeatHeader(c byte) bool {
	return len(s.header) > 0 && (c == '"' || s.header[0].index > 0 || !differ(c, s.header[0].name[0]))
}

// isEmpty reports whether all cells of a record are blank.
func (s *splitter) isEmpty(b *Batch, rec *record) bool {
	for _, c := range b.cells[rec.first:] {
		if len(bytes.Trim(b.data[c.start:c.end], " \t\r\n")) > 0 {
			return false
		}
	}
	return true
}

// repeatsHeader reports whether every cell is the name of its column.
func (s *splitter) repeatsHeader(b *Batch, rec *record) bool {
	for _, c := range s.header {
		cell := b.cells[int(rec.first)+c.index]
		text := b.data[cell.start:cell.end]
		if len(text) == 0 || differ(text[0], c.name[0]) || !strings.EqualFold(columnName(string(text)), c.name) {
			return false
		}
	}
	return len(s.header) > 0
}

// differ reports whether a cell that begins with a can't be a name that begins with b,
// which is true for nearly all rows. A letter may be decomposed, and white space or a
// byte order mark may precede it.
func differ(a, b byte) bool {
	switch {
	case a >= utf8.RuneSelf || a == ' ' || a == '\t' || a|0x20 == b|0x20:
		return false
	case b < utf8.RuneSelf:
		return true
	}
	return a|0x20 < 'a' || a|0x20 > 'z'
}

// record splits one record that begins at pos. done is false if it needs more bytes.
func (s *splitter) record(b *Batch, data []byte, pos int, rec *record, final bool) (next int, done bool, err error) {
	n := 0 // cells so far
	for {
		cell := span{uint32(pos), uint32(pos)}
		opened, quoted := s.line, false
		if pos < len(data) && data[pos] == '"' {
			quoted = true
			cell, pos, done, err = s.quotedCell(b, data, pos, rec, final)
			if err != nil || !done {
				return pos, false, err
			}
		} else {
			for {
				pos = s.nextSpecial(data, pos)
				if pos == len(data) || data[pos] != '"' {
					break
				}
				if end := s.formulaText(data, int(cell.start), pos); end > 0 {
					pos = end
					break
				}
				if err := s.strayQuote(data, int(cell.start), pos, n, rec); err != nil {
					return pos, false, err
				}
				pos++
			}
			cell.end = uint32(pos)
		}
		b.cells = append(b.cells, cell)
		n++
		if pos < len(data) && data[pos] == s.comma {
			pos++
			continue
		}
		rec.end = uint32(pos)
		ended := true
		switch end := lineEndLen(data[pos:], s.eol); {
		case end > 0:
			pos += end
			s.line++
		case pos == len(data) || endsInCR(data[pos:]):
			if !final {
				s.openQuote = -1
				return pos, false, nil
			}
			pos, ended = len(data), false // within CRLF, the record itself is complete
		case quoted && !final && len(bytes.TrimLeft(data[pos:], "\x1A")) == 0: // perhaps the file ends here
			s.openQuote = -1
			return pos, false, nil
		case quoted && data[pos] != '\r' && data[pos] != '\n':
			return pos, false, s.textAfterQuote(data, pos, opened)
		default:
			return pos, false, s.mixedLineEnds(data, pos)
		}
		s.setFault(data, rec, n, ended)
		return pos, true, nil
	}
}

// quotedCell splits a cell that begins with the quote at pos.
func (s *splitter) quotedCell(b *Batch, data []byte, pos int, rec *record, final bool) (cell span, next int, done bool, err error) {
	open, line := pos, s.line
	pos++
	from := pos // of the text that is not yet copied
	side := -1  // start of the unescaped cell in b.data
	for {
		i := bytes.IndexByte(data[pos:], '"')
		if i < 0 || (pos+i+1 == len(data) && !final) {
			s.openQuote, s.openLine, s.line = open, line, line
			if i < 0 && final {
				return cell, open, false, s.broken("quote-open", data, open, "the quote here is never closed")
			}
			return cell, open, false, nil
		}
		text := data[pos : pos+i]
		if !s.sheet { // line breaks in cells don't change the number of a row
			s.line += uint32(bytes.Count(text, []byte{s.eol}))
		}
		pos += i + 1
		if pos == len(data) || data[pos] != '"' {
			break
		}
		if side < 0 {
			side = len(b.data)
		}
		b.data = append(b.data, data[from:pos]...)
		pos++
		from = pos
	}
	if rec.fault == FaultQuote && s.line != line {
		s.line = line
		return cell, open, false, s.broken("quote-stray", data, open, "a quoted cell with line breaks follows a stray quote of the same row; the end of the row is uncertain")
	}
	rec.wide = rec.wide || !s.sheet && pos-open > s.columns && s.rowWide(data[open:pos], s.line != line)
	if side < 0 {
		return span{uint32(from), uint32(pos - 1)}, pos, true, nil
	}
	b.data = append(b.data, data[from:pos-1]...)
	return span{uint32(side), uint32(len(b.data))}, pos, true, nil
}

// rowWide reports whether a quoted cell has as many delimiters as a row, so that two
// quotes of different rows may have swallowed one. A single delimiter is ordinary text
// unless there is a line break too.
func (s *splitter) rowWide(cell []byte, breaks bool) bool {
	return s.columns > 1 && (breaks || s.columns > 2) && bytes.Count(cell, []byte{s.comma}) >= s.columns-1
}

// formulaText returns the end of a cell ="text", as spreadsheets write a number that must keep its zeros, whose
// first quote is at pos; 0 if the cell isn't one. Its text has neither delimiter nor line end, so its end is certain.
// The cell stays as written.
func (s *splitter) formulaText(data []byte, cell, pos int) (end int) {
	if s.columns == anyCount || pos != cell+1 || data[cell] != '=' {
		return 0
	}
	end = s.nextSpecial(data, pos+1)
	if end == len(data) || data[end] != '"' {
		return 0
	}
	if end++; end == len(data) || data[end] == s.comma || data[end] == '\r' || data[end] == '\n' {
		return end
	}
	return 0
}
