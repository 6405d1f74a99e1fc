package csvfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
)

// Why this is not encoding/csv: that reader gives no raw record (rejected.csv
// needs it), rewrites CRLF within quotes, goes on behind a stray quote as if
// the record surely ended there, has no bound on a record, knows no lone CR, and needs
// two to three times as long to fill a batch (BenchmarkReader, BenchmarkEncodingCSVIntoBatch). FuzzSplitAgainstEncodingCSV
// holds the two to the same cells.

// anyCount is a splitter's columns before the header is known.
const anyCount = -1

// splitter cuts text into records and cells (RFC 4180).
type splitter struct {
	file         string
	comma        byte
	eol          byte // '\n', or '\r' where lines end with it all through
	columns      int  // cells of a good record; anyCount
	maxRecord    int
	singleColumn bool   // one column, and no sep= line that says the delimiter
	line         uint32 // of the next byte, from 1
	// Where a record needs more bytes than there are: the offset of the quote
	// that is open there, -1 if there is none.
	openQuote int
	openLine  uint32
}

// ones times a byte is that byte eight times.
const ones = 0x0101010101010101

// zeroBytes has the high bit set in the lowest byte of w that is zero. Higher
// bytes may be set wrongly: only the first counts.
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

// split cuts b.data from pos on into records until its end, or until most
// records are in b. It returns where the first incomplete record begins. final says that no more bytes follow.
func (s *splitter) split(b *Batch, pos, most int, final bool) (int, error) {
	// Cells that are unescaped are put behind the text; data stays what it is.
	data := b.data[:len(b.data):len(b.data)]
	for len(b.records) < most {
		var blank bool
		pos, blank = s.skipBlank(data, pos, final)
		if pos == len(data) || blank {
			return pos, nil
		}
		line, side := s.line, len(b.data)
		rec := record{start: uint32(pos), line: line, first: uint32(len(b.cells))}
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
		if rec.fault != FaultNone {
			b.cells = b.cells[:rec.first]
		}
		b.records = append(b.records, rec)
		pos = next
	}
	return pos, nil
}

// skipBlank skips empty lines. wait says that the line end at pos needs one more byte to be told.
func (s *splitter) skipBlank(data []byte, pos int, final bool) (next int, wait bool) {
	for pos < len(data) {
		switch c := data[pos]; {
		case c == s.eol:
			pos++
		case c == '\r' && pos+1 < len(data) && data[pos+1] == '\n':
			pos += 2
		case c == '\r' && pos+1 == len(data):
			if !final {
				return pos, true
			}
			pos++
			continue
		default:
			return pos, false
		}
		s.line++
	}
	return pos, false
}

// record cuts one record that begins at pos. done is false where it needs more bytes.
func (s *splitter) record(b *Batch, data []byte, pos int, rec *record, final bool) (next int, done bool, err error) {
	n := 0 // cells so far
	for {
		cell := span{uint32(pos), uint32(pos)}
		var quoted bool
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
		switch {
		case pos == len(data):
			if !final {
				s.openQuote = -1
				return pos, false, nil
			}
			ended = false
		case data[pos] == s.eol:
			pos++
			s.line++
		case data[pos] == '\r' && pos+1 < len(data) && data[pos+1] == '\n':
			pos += 2
			s.line++
		case data[pos] == '\r' && pos+1 == len(data):
			if !final {
				s.openQuote = -1
				return pos, false, nil
			}
			pos++ // the file was cut within CRLF: the record itself is whole
			ended = false
		case quoted && data[pos] != '\r' && data[pos] != '\n':
			return pos, false, s.broken(data, pos, "text follows a closing quote; where the cell ends is uncertain. "+
				`A cell with quotes is written "like ""this"" one"`)
		default:
			return pos, false, s.mixedLineEnds(data, pos)
		}
		s.setFault(data, rec, n, ended)
		return pos, true, nil
	}
}

// setFault sets the fault of a record of n cells.
func (s *splitter) setFault(data []byte, rec *record, n int, ended bool) {
	switch {
	case s.columns == anyCount || rec.fault != FaultNone:
	case n < s.columns && !ended:
		rec.fault, rec.detail = FaultCutOff, uint32(n)
	case n != s.columns:
		rec.fault, rec.detail = FaultCells, uint32(n)
	case s.singleColumn && data[rec.start] != '"' && bytes.ContainsAny(data[rec.start:rec.end], candidates):
		rec.fault = FaultDelimiter
	}
}

// quotedCell cuts a cell that begins with the quote at pos.
func (s *splitter) quotedCell(b *Batch, data []byte, pos int, rec *record, final bool) (cell span, next int, done bool, err error) {
	open, line := pos, s.line
	pos++
	from := pos // of what is not yet copied
	side := -1  // where the unescaped cell begins in b.data
	for {
		i := bytes.IndexByte(data[pos:], '"')
		if i < 0 || (pos+i+1 == len(data) && !final) {
			s.openQuote, s.openLine, s.line = open, line, line
			if i < 0 && final {
				return cell, open, false, s.broken(data, open, "the quote here is never closed")
			}
			return cell, open, false, nil
		}
		text := data[pos : pos+i]
		s.line += uint32(bytes.Count(text, []byte{s.eol}))
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
		return cell, open, false, s.broken(data, open, "a quoted cell with line breaks follows a stray quote of the same row; where the row ends is uncertain")
	}
	if side < 0 {
		return span{uint32(from), uint32(pos - 1)}, pos, true, nil
	}
	b.data = append(b.data, data[from:pos-1]...)
	return span{uint32(side), uint32(len(b.data))}, pos, true, nil
}

// strayQuote judges a quote at pos within a cell that began at cell without one.
func (s *splitter) strayQuote(data []byte, cell, pos, n int, rec *record) error {
	if len(bytes.TrimSpace(data[cell:pos])) == 0 {
		return s.broken(data, pos, "white space precedes the quote that opens a cell; whether the quote is text is uncertain. Remove the white space")
	}
	if rec.fault == FaultNone {
		rec.fault, rec.detail = FaultQuote, uint32(n)
	}
	return nil
}

func (s *splitter) mixedLineEnds(data []byte, pos int) error {
	if s.eol == '\r' {
		return s.broken(data, pos, "a line feed ends this line, but the lines before end with carriage returns; use one of them throughout")
	}
	return s.broken(data, pos, "a carriage return without a line feed is outside quotes, but the lines before end with line feeds; use one of them throughout")
}

func (s *splitter) tooLong(data []byte, pos int) error {
	if s.openQuote >= 0 {
		s.line = s.openLine
		return s.broken(data, s.openQuote, fmt.Sprintf("the quote here is not closed within the %d bytes that a row may have", s.maxRecord))
	}
	return s.broken(data, pos, fmt.Sprintf("the row that begins here has more than the %d bytes that a row may have", s.maxRecord))
}

// broken locates a fault at pos, on line s.line.
func (s *splitter) broken(data []byte, pos int, message string) error {
	start := bytes.LastIndexByte(data[:pos], s.eol) + 1
	return &Broken{campaign.Problem{File: s.file, Line: int(s.line), Column: utf8.RuneCount(data[start:pos]) + 1, Message: message}}
}

// trimName returns a header name as it is compared, but for NFC. A byte order mark
// that a spreadsheet left within the file is no part of a name.
func trimName(name string) string {
	return strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' })
}
