// Package csvfile reads the CSV of a drop as a table (docs/contract.md 4): it
// determines size, digest, encoding, line ends, delimiter and columns, and reads
// the records in batches.
//
// It is pure: it reads from an io.Reader, starts no goroutine and knows neither
// layout nor channels. A batch keeps the original text of every record, so that a
// refused one can be returned as it was.
//
// It never guesses. A record that is wrong within its own bounds (a stray quote, a
// wrong number of cells, a line break outside quotes) has a Fault, and reading
// continues with the next one. If the end of a record is uncertain, or a limit is
// exceeded, reading ends with a *Broken that has the position. Faults of the header
// are problems before the first record. Errors of the io.Reader are returned.
package csvfile

import (
	"campaignd/internal/campaign"
)

// Limits of a CSV (docs/contract.md 4).
const (
	MaxRecord  = 1 << 20 // bytes of one record, as UTF-8
	MaxColumns = 1000
)

// Cells that a spreadsheet's reader writes where it can't tell what the sheet shows. They refuse
// their rows if the column is used.
const (
	NoValue   = "#NO-VALUE!"  // a formula whose result isn't in the file
	Uncertain = "#UNCERTAIN!" // a number whose digits depend on more than its format
)

// The encodings, by their names in campaign.CSVInfo.
const (
	UTF8        = "utf-8"
	UTF16LE     = "utf-16le"
	UTF16BE     = "utf-16be"
	Windows1252 = "windows-1252"
)

// Info is the result of Inspect.
type Info struct {
	Bytes    int64  // bytes read; more than the expected size means that the file has grown
	SHA256   string // lower case hex digest of all bytes
	Encoding string // UTF8, UTF16LE, UTF16BE or Windows1252
	BOM      bool   // a byte order mark precedes the first character
	// Assumed is set for Windows-1252, which no mark proves.
	Assumed      bool
	Lines        int64 // line ends, quoted ones included, plus an unterminated last line: at least rows+1
	Unterminated bool  // the last line has no end
	NUL          int64 // offset of the first NUL in bytes, -1 if there is none
	NULs         int64 // number of NULs
	Undecodable  int64 // offset of the first byte that is wrong in Encoding, -1 if there is none

	nulLine, badLine int64  // lines of NUL and Undecodable, from 1
	badCode, badWhy  string // code and description of the fault at Undecodable
	whole            *Info  // what the file is if it wasn't cut off, nil if that makes no difference
	foreign          foreign
	example          sample // a word of a Windows-1252 file with letters beyond ASCII
}

// RowBound returns the most data rows the file can have, for the size of tables.
func (in *Info) RowBound() int64 { return max(in.Lines-1, 0) }

// Broken is returned by Reader.ReadBatch if the file can't be read on with
// certainty, or exceeds a limit. The whole drop must be rejected with Problem.
type Broken struct{ Problem campaign.Problem }

// Error returns the problem as one line.
func (b *Broken) Error() string { return b.Problem.String() }

// Fault is a fault of one record within its own bounds.
type Fault uint8

// The faults of a record.
const (
	FaultNone      Fault = iota
	FaultCells           // another number of cells than the header
	FaultQuote           // a quote within a cell that doesn't begin with one
	FaultDelimiter       // one column, but another delimiter in the row: its cells are uncertain
	FaultCutOff          // the last record: its line has no end and it has too few cells
	FaultBreak           // a line with a single cell among several columns: an unquoted line break, or no row
	FaultNextTo          // the row before or after a FaultBreak, which the break may have cut
	FaultHeader          // the row repeats the header
)
