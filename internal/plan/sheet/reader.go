package sheet

import (
	"io"

	"campaignd/internal/campaign"
)

// Options are what a Reader is told beside the file.
type Options struct {
	File       string   // base name of the file, for messages
	Wanted     []string // the columns that the layout uses; they decide the delimiter
	MaxRecord  int      // bytes; 0 is MaxRecord
	MaxColumns int      // 0 is MaxColumns
}

// Reader reads the records of one CSV. It is for one goroutine.
type Reader struct {
	columns []string
	comma   byte
}

// NewReader reads the beginning of r, which starts at the first byte of the
// file that info describes: byte order mark, a line "sep=;", and the header, by
// which it finds the delimiter. If the problems are not empty the drop is to be rejected and
// the Reader serves only for Columns and Delimiter, or is nil where not
// even these could be had. The error is that of r.
func NewReader(r io.Reader, info Info, o Options) (*Reader, campaign.Problems, error) {
	panic("being built")
}

// Columns are the names of the columns: trimmed, in NFC, each once.
func (r *Reader) Columns() []string { return r.columns }

// Delimiter is "," ";" "|" or a tab.
func (r *Reader) Delimiter() string { return string(r.comma) }

// ReadBatch fills b with the next records. It returns io.EOF, with an empty
// batch, after the last one, a *Broken where reading on is uncertain (what was read
// before is not to be sent either), or the error of the io.Reader.
func (r *Reader) ReadBatch(b *Batch) error { panic("being built") }
