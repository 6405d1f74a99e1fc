package csvfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// setFault sets the fault of a record of n cells.
func (s *splitter) setFault(data []byte, rec *record, n int, ended bool) {
	rec.single = n == 1 && s.columns > 1 && !s.lenient
	switch {
	case s.columns == anyCount || rec.fault != FaultNone:
	case n < s.columns && !ended && !s.proven:
		rec.fault, rec.detail = FaultCutOff, uint32(n)
	case rec.single:
		rec.fault, rec.detail = FaultBreak, 1
	case n != s.columns:
		rec.fault, rec.detail = FaultCells, uint32(n)
	case s.singleColumn && data[rec.start] != '"' && bytes.ContainsAny(data[rec.start:rec.end], candidates):
		rec.fault = FaultDelimiter
	}
}

// strayQuote handles a quote at pos within a cell that began at cell without one.
func (s *splitter) strayQuote(data []byte, cell, pos, n int, rec *record) error {
	if len(bytes.TrimSpace(data[cell:pos])) == 0 {
		return s.broken("quote-space", data, pos, "white space precedes the quote that opens a cell; whether the quote is text is uncertain. Remove the white space")
	}
	if rec.fault == FaultNone {
		rec.fault, rec.detail = FaultQuote, uint32(n)
	}
	return nil
}

func (s *splitter) mixedLineEnds(data []byte, pos int) error {
	if s.eol == '\r' {
		return s.broken("line-ends", data, pos, "a line feed ends this line, but the lines before end with carriage returns; use one of them throughout")
	}
	return s.broken("line-ends", data, pos, "a carriage return without a line feed is outside quotes, but the lines before end with line feeds; use one of them throughout")
}

// textAfterQuote is the error for text at pos after a closing quote, of a cell that
// opened on the given line.
func (s *splitter) textAfterQuote(data []byte, pos int, opened uint32) error {
	from := ""
	if opened != s.line {
		from = fmt.Sprintf(" of a cell that opened on line %d: a quote may be missing there", opened)
	}
	return s.broken("quote-text", data, pos, "text follows a closing quote"+from+"; the end of the cell is uncertain. "+
		`A cell with quotes is written "like ""this"" one"`)
}

func (s *splitter) tooLong(data []byte, pos int) error {
	if s.openQuote >= 0 {
		s.line = s.openLine
		return s.broken("quote-open", data, s.openQuote, fmt.Sprintf("the quote here is not closed within the %s that a row may have", display.Amount(s.maxRecord, "byte")))
	}
	return s.broken("row-long", data, pos, fmt.Sprintf("the row that begins here has more than the %s that a row may have", display.Amount(s.maxRecord, "byte")))
}

// broken returns a *Broken at pos, on line s.line.
func (s *splitter) broken(code string, data []byte, pos int, message string) error {
	start := bytes.LastIndexByte(data[:pos], s.eol) + 1
	return &Broken{campaign.Problem{Code: code, File: s.file, Line: int(s.line), Column: utf8.RuneCount(data[start:pos]) + 1, Message: message}}
}

// columnName returns a header name as names are compared: without space around it and
// in NFC. A byte order mark that a spreadsheet left within the file is not part of it.
func columnName(name string) string {
	return norm.NFC.String(strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' }))
}
