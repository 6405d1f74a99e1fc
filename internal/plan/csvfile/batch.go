package csvfile

// Batch is a run of records, laid flat. The zero value is ready; reuse it to
// keep its memory, which is bounded by the reader's block and one record.
type Batch struct {
	data    []byte // the records as they came, then cells that had to be unescaped
	cells   []span
	records []record
}

type span struct{ start, end uint32 }

type record struct {
	start, end uint32 // of the raw record in data, without its line end
	line       uint32 // of the file, from 1
	first      uint32 // of its cells; one a column, unless there is a fault
	fault      Fault
	detail     uint32 // FaultCells, FaultCutOff: cells found; FaultQuote, FaultDelimiter: column, from 0
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.records) }

// Line returns the line of the file on which record i begins, from 1.
func (b *Batch) Line(i int) uint32 { return b.records[i].line }

// Cell returns the cell of record i in column c. It is valid until the batch is
// read into again. A record with a Fault has no cells to be had.
func (b *Batch) Cell(i, c int) []byte {
	s := b.cells[int(b.records[i].first)+c]
	return b.data[s.start:s.end:s.end]
}

// Fault is what is wrong with record i. detail is the number of cells found
// for FaultCells and FaultCutOff, else the index of the column at fault.
func (b *Batch) Fault(i int) (fault Fault, detail int) {
	return b.records[i].fault, int(b.records[i].detail)
}

// Raw is record i as it came, in UTF-8, without its line end.
func (b *Batch) Raw(i int) []byte {
	r := &b.records[i]
	return b.data[r.start:r.end:r.end]
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.data, b.cells, b.records = b.data[:0], b.cells[:0], b.records[:0]
}
