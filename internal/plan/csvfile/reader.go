package csvfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// blockSize is the number of bytes that a batch aims at: some thousand rows, small
// enough for a core's cache, and the unit of memory of all later steps.
const blockSize = 64 << 10

// MaxBatch is the most records a batch has, unless LimitBatch sets fewer: it bounds the
// memory of a batch of very short records.
const MaxBatch = 8192

// Options are the parameters of a Reader.
type Options struct {
	File       string   // base name of the file, for messages
	Wanted     []string // the columns that the layout uses; they decide the delimiter
	Proven     bool     // the file is known to be complete: a last row without a line end is a row like any other
	Lenient    bool     // the header may be missing, and a single cell is only a row with too few cells
	Sheet      bool     // the file was written from a spreadsheet: line n is row n, and cells are separated by commas
	MaxRecord  int      // bytes; 0 is MaxRecord
	MaxColumns int      // 0 is MaxColumns
}

// Reader reads the records of one CSV. It is for one goroutine, except for methods that
// say otherwise.
type Reader struct {
	src             io.Reader // UTF-8, without mark
	ended           bool      // src has no more
	split           splitter
	columns         []string
	carry           []byte // read, not yet handed out
	block           int    // bytes a batch aims at
	maxRecords      int    // of a batch
	hasSepLine      bool   // a line sep= names the delimiter
	crlf            bool   // the header ends with CRLF
	headerLine      int
	headerRaw       []byte // the header's text, until it is checked
	writeBOM        bool   // others need a byte order mark to recognize UTF-8
	originalColumns []int  // indexes of the columns but _line and _error; nil: all
	afterBreak      uint32 // line of the last record, if it had a single cell among several columns
	skipped         struct{ blank, empty uint64 }
	footers         int64                        // known footers, among the rows
	last            struct{ cells, records int } // lengths of the last batch
	wide            []wideCells                  // by column; nil: none
	err             error                        // after which nothing more is read
}

// NewReader reads the beginning of r, which starts at the first byte of the file that
// info describes: byte order mark, a line "sep=;", and the header, which decides the
// delimiter. If there are problems the drop must be rejected. The Reader then serves
// only for Columns and Delimiter, and is nil if not even these are known. The error is
// that of r.
func NewReader(r io.Reader, info Info, o Options) (*Reader, campaign.Problems, error) {
	// A file of a few rows fits into one small block.
	return newReader(r, info, o, int(min(blockSize, 2*info.Bytes+64)))
}

func newReader(r io.Reader, info Info, o Options, block int) (*Reader, campaign.Problems, error) {
	if o.MaxRecord == 0 {
		o.MaxRecord = MaxRecord
	}
	if o.MaxColumns == 0 {
		o.MaxColumns = MaxColumns
	}
	var problems campaign.Problems
	reader := &Reader{
		block:      block,
		maxRecords: MaxBatch,
		src:        decode(r, info.Encoding),
		writeBOM:   info.BOM || info.Encoding != UTF8,
		split:      splitter{file: o.File, lenient: o.Lenient, sheet: o.Sheet, proven: o.Proven, columns: anyCount, maxRecord: o.MaxRecord, line: 1},
	}
	var err error
	for size := block; ; size = max(block, 2*len(reader.carry)) {
		if reader.carry, err = reader.fill(reader.carry, size); err != nil {
			return nil, problems, err
		}
		for bytes.HasPrefix(reader.carry, []byte(bomUTF8)) { // some files have two
			reader.carry = reader.carry[len(bomUTF8):]
		}
		complete, err := reader.header(o)
		var broken *Broken
		switch {
		case errors.As(err, &broken):
			problems.Add(broken.Problem)
			return nil, problems, nil
		case complete:
			problems = reader.checkHeader(o)
			reader.headerRaw = nil
			reader.split.columns = len(reader.columns)
			reader.split.singleColumn = len(reader.columns) == 1 && !reader.hasSepLine && !o.Sheet
			return reader, problems, nil
		case len(reader.carry) > o.MaxRecord+block:
			problems.AddCode("header-long", o.File, 1, 0, "", "the first line, which must name the columns, doesn't end within the %s that a row may have", display.Amount(o.MaxRecord, "byte"))
			return nil, problems, nil
		}
	}
}

// Columns returns the names of the columns: trimmed, in NFC, each once. Safe for concurrent use.
func (r *Reader) Columns() []string { return r.columns }

// SepLine reports whether a first line sep= named the delimiter.
func (r *Reader) SepLine() bool { return r.hasSepLine }

// Sheet reports whether the rows are those of a spreadsheet.
func (r *Reader) Sheet() bool { return r.split.sheet }

// Delimiter returns "," ";" "|" or a tab.
func (r *Reader) Delimiter() string { return string(rune(r.split.comma)) }

// LimitBatch bounds the records of the following batches, for rows that a layout makes
// many times larger. Less than 1 or more than MaxBatch change nothing.
func (r *Reader) LimitBatch(records int) {
	if records >= 1 && records <= MaxBatch {
		r.maxRecords = records
	}
}

// fill reads until data has size bytes or there is no more.
func (r *Reader) fill(data []byte, size int) ([]byte, error) {
	data = slices.Grow(data, max(size-len(data), 0))
	for empty := 0; len(data) < size && !r.ended; {
		n, err := r.src.Read(data[len(data):size])
		data = data[:len(data)+n]
		switch {
		case err == io.EOF:
			r.ended = true
		case err != nil:
			return data, fmt.Errorf("read CSV: %w", err)
		case n > 0:
			empty = 0
		default:
			if empty++; empty > 100 {
				return data, fmt.Errorf("read CSV: %w", io.ErrNoProgress)
			}
		}
	}
	return data, nil
}

// ReadBatch fills b with the next records. It returns io.EOF, with an empty batch, after
// the last one, a *Broken if reading on is uncertain (the rows before must not be sent
// either), or the error of the io.Reader.
//
// The last record that was read is held back until the line after it is known, since
// that line may show that a line break has cut the record.
func (r *Reader) ReadBatch(b *Batch) error {
	b.Reset()
	if r.err != nil {
		return r.err
	}
	b.grow(r.last.cells, r.last.records)
	b.data = append(b.data, r.carry...)
	for size := r.block; ; size = max(r.block, 2*len(b.data)) {
		var err error
		if b.data, err = r.fill(b.data, size); err != nil {
			return r.fail(b, err)
		}
		if r.ended {
			b.data = r.split.cutMark(b.data)
		}
		have := len(b.data)
		rest, err := r.split.split(b, 0, r.maxRecords+1, r.ended)
		if err != nil && len(b.records) > 0 {
			r.err = err // for the next call: the faults of these records are reported too
			return nil
		}
		if err != nil {
			return r.fail(b, err)
		}
		complete := r.ended && rest == have
		force := have > r.split.maxRecord || len(b.records) > r.maxRecords
		n := r.settle(b, complete, force)
		if n < len(b.records) {
			held := b.records[n]
			rest = int(held.start)
			r.split.rewind(&held)
			b.cells, b.records = b.cells[:held.first], b.records[:n]
		}
		if n > 0 {
			r.carry = append(r.carry[:0], b.data[rest:have]...)
			r.last.cells, r.last.records = len(b.cells), len(b.records)
			return nil
		}
		if complete {
			r.skipped.empty += uint64(r.split.empty)
			r.split.empty = 0
			return r.fail(b, io.EOF)
		}
		b.data = append(b.data[:0], b.data[rest:have]...)
	}
}

func (r *Reader) fail(b *Batch, err error) error {
	b.Reset()
	r.err = err
	return err
}
