package recipients

import (
	"errors"
	"fmt"
	"math"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// RowWriter receives the results of an Assembler. Its arguments are valid only during the call.
type RowWriter interface {
	// Chunk receives the next recipients: campaign.ChunkRows of them, fewer in the last call.
	Chunk(rows *campaign.Rows) error
	// Refused receives rows that were rejected or are duplicates, in the order of the
	// file, and rejected, the lines of rejected.csv for the rejected ones.
	Refused(refusals []campaign.Refusal, rejected []byte) error
}

// ErrTooManyRows is returned by Add when the drop has more rows than allowed; Verdict has
// the details.
var ErrTooManyRows = errors.New("too many rows")

// Assembler puts Checked batches together in the order of the file. It is for one goroutine.
type Assembler struct {
	checker    *Checker
	writer     RowWriter
	index      *index // nil without de-duplication
	maxRows    uint32
	chunk      campaign.Rows
	counts     campaign.RowCounts
	planned    uint64
	cutOff     uint32
	doubts     doubts
	cells      []cellCount // by used column and kind
	tooMany    bool
	problems   campaign.Problems
	previews   []campaign.Preview
	previewRow previewRow
	duplicates []campaign.Refusal // duplicates of the batch at hand
	merged     []campaign.Refusal
}

// Assemble returns an Assembler. rowBound is an upper bound of the rows
// (csvfile.Info.RowBound). spill may be nil if Spec.Dedupe is false.
func (r *Checker) Assemble(rowBound int64, spill Spill, sink RowWriter) *Assembler {
	a := &Assembler{checker: r, writer: sink, maxRows: math.MaxUint32}
	if r.spec.MaxRows > 0 && r.spec.MaxRows < math.MaxUint32 {
		a.maxRows = uint32(r.spec.MaxRows)
	}
	if r.spec.Dedupe {
		// A file of only line ends must not get a table of its size.
		a.index = newIndex(min(rowBound, int64(a.maxRows)), spill)
	}
	a.chunk.Reset(0, len(r.values))
	a.cells = make([]cellCount, len(r.used)*int(warned))
	return a
}

// Add adds the next batch; c may be reused afterwards.
func (a *Assembler) Add(c *Checked) error {
	if a.tooMany || uint64(a.counts.Total)+uint64(c.Total) > uint64(a.maxRows) {
		a.tooMany = true
		return ErrTooManyRows
	}
	a.previewRow.find(a.checker.spec.PreviewRow, a.counts.Total, c)
	a.counts.Total += c.Total
	a.counts.Rejected += uint32(len(c.Refusals))
	a.cutOff = max(a.cutOff, c.cutOff)
	a.doubts.merge(&c.doubts)
	for i, one := range c.cellCounts {
		if a.cells[i].count == 0 {
			a.cells[i].line = one.line
		}
		a.cells[i].count += one.count
	}
	for i := range c.Refusals {
		if len(a.problems.List) == campaign.MaxProblems {
			a.problems.Count += len(c.Refusals) - i
			break
		}
		w := &c.Refusals[i]
		if w.Line == c.cutOff { // Verdict reports it
			continue
		}
		a.problems.Add(campaign.Problem{Code: w.Code, File: a.checker.spec.File, Line: int(w.Line), Column: w.Position, Field: w.Column, Message: w.Reason})
	}
	if err := a.rows(c); err != nil {
		return err
	}
	refused := c.Refusals
	if len(a.duplicates) > 0 {
		a.counts.Duplicate += uint32(len(a.duplicates))
		a.merge(c.Refusals)
		refused = a.merged
	}
	a.previewRow.refusedIn(refused)
	if len(refused) == 0 {
		return nil
	}
	return a.writer.Refused(refused, c.Rejected)
}

// touchAhead sets the number of keys whose slots are fetched together.
const prefetchRows = 64

// rows moves the good rows of c that are no duplicates into chunks, run by run.
func (a *Assembler) rows(c *Checked) error {
	a.duplicates = a.duplicates[:0]
	n := c.Rows.Len()
	if a.index == nil {
		return a.appendRows(&c.Rows, 0, n)
	}
	place, err := a.index.write(c.keys)
	if err != nil {
		return err
	}
	first := 0 // of the run
	start := uint32(0)
	for i := range n {
		if i%prefetchRows == 0 {
			a.index.prefetch(c.hashes[i:min(i+prefetchRows, n)])
		}
		end := c.keyEnds[i]
		line, err := a.index.add(c.keys[start:end], place+int64(start), c.hashes[i])
		if err != nil {
			return err
		}
		start = end
		if line == 0 {
			continue
		}
		if err := a.appendRows(&c.Rows, first, i); err != nil {
			return err
		}
		first = i + 1
		reference := ""
		if k := a.checker.reference; k >= 0 {
			reference = boundedReference(c.Rows.Values[k].At(i))
		}
		a.duplicates = append(a.duplicates, campaign.Refusal{
			Reference: reference,
			Line:      c.Rows.Lines[i], Outcome: campaign.Duplicate, Code: "duplicate", Column: a.checker.contact.column,
			ContactCode: string(c.Rows.Contacts.At(i)), ChannelType: a.checker.spec.Channels[c.Rows.Channels[i]].Name,
			Reason: fmt.Sprintf("the same contactCode on the same channel is on line %d; only that row is sent", line),
		})
	}
	return a.appendRows(&c.Rows, first, n)
}

// appendRows adds rows [i, j) of from to the chunk and hands out each that is full.
func (a *Assembler) appendRows(from *campaign.Rows, i, j int) error {
	for i < j {
		k := min(j, i+campaign.ChunkRows-a.chunk.Len())
		a.preview(from, i, k)
		for _, c := range from.Channels[i:k] {
			a.planned += uint64(len(a.checker.spec.Channels[c].Templates))
		}
		a.counts.Accepted += uint32(k - i)
		a.chunk.Lines = append(a.chunk.Lines, from.Lines[i:k]...)
		a.chunk.Channels = append(a.chunk.Channels, from.Channels[i:k]...)
		appendRange(&a.chunk.Contacts, &from.Contacts, i, k)
		if a.checker.numbers {
			appendRange(&a.chunk.Normal, &from.Normal, i, k)
		}
		for v := range a.chunk.Values {
			appendRange(&a.chunk.Values[v], &from.Values[v], i, k)
		}
		if i = k; a.chunk.Len() == campaign.ChunkRows {
			if err := a.flushChunk(); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendRange appends strings [i, j) of from to c.
func appendRange(c, from *campaign.Column, i, j int) {
	start := uint32(0)
	if i > 0 {
		start = from.Ends[i-1]
	}
	shift := uint32(len(c.Data)) - start // wraps around, and back in the sum
	c.Data = append(c.Data, from.Data[start:from.Ends[j-1]]...)
	for _, end := range from.Ends[i:j] {
		c.Ends = append(c.Ends, end+shift)
	}
}

func (a *Assembler) flushChunk() error {
	if err := a.writer.Chunk(&a.chunk); err != nil {
		return err
	}
	a.chunk.Reset(a.chunk.First+uint32(a.chunk.Len()), len(a.chunk.Values))
	return nil
}

// preview renders the first messages of rows [i, j).
func (a *Assembler) preview(rows *campaign.Rows, i, j int) {
	for ; i < j && len(a.previews) < a.checker.spec.Previews; i++ {
		if a.checker.spec.PreviewRow > 0 && rows.Lines[i] != a.previewRow.line {
			continue
		}
		c := &a.checker.spec.Channels[rows.Channels[i]]
		for k, t := range c.Templates {
			if len(a.previews) == a.checker.spec.Previews {
				return
			}
			a.previews = append(a.previews, campaign.Preview{
				Line: rows.Lines[i], ContactCode: string(rows.Contacts.At(i)), ChannelType: c.Name,
				Message: k + 1, Content: string(t.Append(nil, rows, i)),
			})
		}
	}
}

// merge merges rejected and the duplicates of the batch in the order of their lines.
func (a *Assembler) merge(rejected []campaign.Refusal) {
	a.merged = a.merged[:0]
	twice := a.duplicates
	for len(rejected) > 0 && len(twice) > 0 {
		if rejected[0].Line < twice[0].Line {
			a.merged, rejected = append(a.merged, rejected[0]), rejected[1:]
		} else {
			a.merged, twice = append(a.merged, twice[0]), twice[1:]
		}
	}
	a.merged = append(append(a.merged, rejected...), twice...)
}

// Finish writes the last chunk.
func (a *Assembler) Finish() error {
	if a.chunk.Len() == 0 {
		return nil
	}
	return a.flushChunk()
}

// Counts returns the data rows so far, and planned the messages of the accepted ones.
func (a *Assembler) Counts() (rows campaign.RowCounts, planned uint64) { return a.counts, a.planned }

// Previews returns the first messages, or those of Spec.PreviewRow, in rendered form, up
// to Spec.Previews.
func (a *Assembler) Previews() []campaign.Preview { return a.previews }

// Warnings returns the doubts about accepted rows and, for each column that the layout
// uses, the numbers of their unusual cells, duplicates included.
func (a *Assembler) Warnings() []campaign.Problem {
	return append(a.doubts.problems(a.checker.spec.File, a.checker.contact.column), a.checker.warnings(a.cells)...)
}

// Problems returns the rejected rows as problems, but for one of Verdict: the first campaign.MaxProblems
// and the full count.
func (a *Assembler) Problems() campaign.Problems { return a.problems }

// rounding exceeds the error of a share like "0.7%", and is less than one row of any
// file: exactly as many bad rows as allowed are allowed.
const rounding = 1e-12

// alwaysAllowed is the number of bad rows that pass whatever max_bad_rows is, as long as
// they are not more than the good ones.
const alwaysAllowed = 5

// NoRow describes a CSV without rows.
const NoRow = "the file has a header and no row; each line after the first is a recipient; on a day without recipients upload nothing"

// TooManyRows describes a CSV of more than most rows.
func TooManyRows(most int) string {
	return fmt.Sprintf("the file has more than the %s that max_rows allows; drop it in parts", display.Amount(most, "row"))
}

// Verdict, after Finish, returns the reasons to reject the whole drop; none if it isn't:
// cut off, more than max_rows, too many bad rows, no good row.
func (a *Assembler) Verdict() []campaign.Problem {
	var why []campaign.Problem
	add := func(code string, line uint32, format string, args ...any) {
		why = append(why, campaign.Problem{Code: code, File: a.checker.spec.File, Line: int(line), Message: fmt.Sprintf(format, args...)})
	}
	n := a.counts
	if a.cutOff > 0 {
		add("row-cut-off", a.cutOff, "the file ends within this row: it is incomplete, or ends with a footer. Upload the whole file, or remove the footer")
	}
	good := n.Total - n.Rejected
	switch {
	case a.tooMany:
		add("rows-many", 0, "%s", TooManyRows(int(a.maxRows)))
	case n.Total == 0:
		add("rows-none", 0, NoRow)
	case n.Accepted == 0:
		add("rows-no-good", 0, "no row of %s is good; the first errors are listed with their lines", display.Number(n.Total))
	case float64(n.Rejected)/float64(n.Total) > a.checker.spec.MaxBadRows*(1+rounding) && (n.Rejected > alwaysAllowed || n.Rejected > good):
		add("rows-bad", 0, "%s of %s are bad, more than the %.4g%% that max_bad_rows allows; the first errors are listed with their lines",
			display.Number(n.Rejected), display.Amount(n.Total, "row"), 100*a.checker.spec.MaxBadRows)
	}
	return why
}
