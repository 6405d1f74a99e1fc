// Package csvfile reads the CSV of a drop as a table (docs/contract.md 4): what the bytes are
// (size, digest, encoding, line ends), which delimiter it has, its columns, and
// its records in batches.
//
// It is pure: it reads from an io.Reader that it is given, starts no goroutine
// and knows neither layout nor channels. A batch keeps every record as it came,
// so that a refused one can be given back.
//
// It fails in three ways, and never by a guess. A record that is wrong within
// its own bounds (a stray quote, a wrong number of cells) carries a Fault and
// the next one is read. Where the end of a record is uncertain, or a limit is
// passed, reading ends with a *Broken that says where. What is wrong with the
// header comes as problems before the first record. Errors of the io.Reader are passed on.
package csvfile

import (
	"campaignd/internal/campaign"
)

// Limits of a CSV (docs/contract.md 4).
const (
	MaxRecord  = 1 << 20 // bytes of one record, as UTF-8
	MaxColumns = 1000
)

// The encodings, as campaign.CSVInfo names them.
const (
	UTF8        = "utf-8"
	UTF16LE     = "utf-16le"
	UTF16BE     = "utf-16be"
	Windows1252 = "windows-1252"
)

// LineEnds is how the lines of a file end.
type LineEnds uint8

// The line ends. Which of them a mix is, is decided by the end of the header.
const (
	NoLineEnds    LineEnds = iota // a single line without end, or nothing
	LF                            // every line end is a line feed
	CRLF                          // every line end is a carriage return and a line feed
	CR                            // every line end is a lone carriage return
	MixedLineEnds                 // some of each, which is well only inside quotes (but LF with CRLF)
)

// Info is what Inspect finds out about a file.
type Info struct {
	Bytes    int64  // read; more than the size that was expected means that the file has grown
	SHA256   string // lower case hex digest of all bytes
	Encoding string // UTF8, UTF16LE, UTF16BE or Windows1252
	BOM      bool   // a byte order mark stands before the first character
	// Assumed is set for Windows-1252, which no mark proves: it is to be reported as a warning.
	Assumed      bool
	LineEnds     LineEnds
	Lines        int64 // line ends, quoted ones included, plus an unterminated last line: at least rows+1
	Unterminated bool  // the last line has no end
	NUL          int64 // offset of the first NUL in bytes, -1 if there is none
	NULs         int64 // how many there are
	Undecodable  int64 // offset of the first byte that is wrong in Encoding, -1 if there is none

	nulLine, badLine int64  // their lines, from 1
	badWhy           string // what is wrong there
}

// RowBound returns the most data rows the file can have: what tables are sized by.
func (in *Info) RowBound() int64 { return max(in.Lines-1, 0) }

// Broken is returned by Reader.ReadBatch when the file can't be read on with
// certainty, or passes a limit: the whole drop is to be rejected with Problem.
type Broken struct{ Problem campaign.Problem }

// Error returns the problem as one line.
func (b *Broken) Error() string { return b.Problem.String() }

// Fault is what is wrong with one record within its own bounds.
type Fault uint8

// The faults of a record.
const (
	FaultNone      Fault = iota
	FaultCells           // not as many cells as the header
	FaultQuote           // a quote within a cell that doesn't begin with one
	FaultDelimiter       // one column, but another delimiter in the row: how it would be cut is uncertain
	FaultCutOff          // the last record: its line has no end and it has too few cells
)
