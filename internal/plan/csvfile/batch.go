package csvfile

import "slices"

// Batch is a run of records in flat memory. The zero value is ready. Reuse it to
// keep its memory, which is bounded by the reader's block and one record.
type Batch struct {
	data    []byte // the records' text, then cells that had to be unescaped
	cells   []span
	records []record
}

type span struct{ start, end uint32 }

type record struct {
	start, end uint32 // of the raw record in data, without its line end
	line       uint32 // of the file, from 1
	first      uint32 // index of its first cell; one cell a column, unless there is a fault
	detail     uint32 // see Batch.Fault
	blank      uint32 // blank lines between this record and the one before
	empty      uint32 // rows of empty cells between them
	fault      Fault
	single     bool // it has one cell and the header several
	wide       bool // a quoted cell is as long as a row's delimiters
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.records) }

// Line returns the line of the file on which record i begins, from 1.
func (b *Batch) Line(i int) uint32 { return b.records[i].line }

// Cell returns the cell of record i in column c. It is valid until the batch is
// read into again. A record with a Fault has no cells.
func (b *Batch) Cell(i, c int) []byte {
	s := b.cells[int(b.records[i].first)+c]
	return b.data[s.start:s.end:s.end]
}

// Fault returns the fault of record i. detail is the number of cells found for
// FaultCells, FaultCutOff and FaultBreak, the line of the broken row for
// FaultNextTo, else the index of the column at fault.
func (b *Batch) Fault(i int) (fault Fault, detail int) {
	return b.records[i].fault, int(b.records[i].detail)
}

// Raw returns the original text of record i, in UTF-8, without its line end.
func (b *Batch) Raw(i int) []byte {
	r := &b.records[i]
	return b.data[r.start:r.end:r.end]
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.data, b.cells, b.records = b.data[:0], b.cells[:0], b.records[:0]
}

// grow makes room for somewhat more than an earlier batch had, since batches are alike: to grow record by record would
// copy everything several times.
func (b *Batch) grow(cells, records int) {
	b.cells = slices.Grow(b.cells, cells+cells/16)
	b.records = slices.Grow(b.records, records+records/16)
}
