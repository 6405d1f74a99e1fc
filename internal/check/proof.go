package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

// ProofMismatch returns how the CSV differs from the proof in the sidecar, or "". It reads the CSV once more if
// the sidecar promises a number of rows: whether the drop waits must be known before it is claimed, and rows are
// stored after it.
func (c *Checker) ProofMismatch(ctx context.Context, p *Parts, inbox *config.Inbox, info *csvfile.Info, sidecar *document.Sidecar) (string, error) {
	if sidecar == nil {
		return "", nil
	}
	if broken := proofProblems(sidecar, p.proven(info)); len(broken) > 0 {
		return broken[0].Message, nil
	}
	if sidecar.Rows != nil {
		counted, err := c.countRows(ctx, p, inbox, info)
		if errors.Is(err, errBadHeader) {
			return "", nil
		}
		if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
			return unreadableRows(*sidecar.Rows, broken), nil
		}
		if err != nil {
			return "", err
		}
		if !counted.match(*sidecar.Rows) {
			return counted.mismatch(*sidecar.Rows), nil
		}
	}
	return "", nil
}

// HasFullProof reports whether the sidecar proves the CSV to its last byte. The number of rows
// doesn't: a cell that was cut is still a cell.
func HasFullProof(sidecar *document.Sidecar) bool {
	return sidecar != nil && (sidecar.SHA256 != "" || sidecar.Bytes != nil)
}

// rowCounts counts what a CSV has after its header.
type rowCounts struct {
	rows    int64 // with footers
	empty   int64 // skipped rows of empty cells
	footers int64 // known footers, which are rows that are refused
}

// match reports whether a file has the promised number of rows, which may include the rows of
// empty cells and the footers (docs/contract.md 5).
func (c rowCounts) match(promised int64) bool {
	return slices.Contains([]int64{c.rows, c.rows + c.empty, c.rows - c.footers, c.rows - c.footers + c.empty}, promised)
}

// mismatch says how the file differs from the promised number of rows.
func (c rowCounts) mismatch(promised int64) string {
	found := display.Amount(c.rows-c.footers, "data row")
	if c.footers > 0 {
		found += " and a footer of " + display.Amount(c.footers, "line")
	}
	text := fmt.Sprintf("the CSV has %s, the schedule says %s", found, display.Number(promised))
	if promised == c.rows+1 {
		return text + "; the first line names the columns and doesn't count"
	}
	return text + "; if the upload was cut off, upload the CSV again"
}

func unreadableRows(promised int64, broken *csvfile.Broken) string {
	return fmt.Sprintf("the CSV can't be read to its end (line %d), the schedule says %s", broken.Problem.Line, display.Amount(promised, "data row"))
}

// proofProblems compares size and digest with the sidecar (docs/contract.md 5).
func proofProblems(sidecar *document.Sidecar, found proven) []campaign.Problem {
	var broken []campaign.Problem
	add := func(field, format string, args ...any) {
		broken = append(broken, campaign.Problem{Code: "proof-mismatch", File: sidecar.File, Field: field, Message: found.name + fmt.Sprintf(format, args...)})
	}
	if sidecar.Bytes != nil && *sidecar.Bytes != found.bytes {
		add("bytes", " has %s, the schedule says %s", display.Amount(found.bytes, "byte"), display.Number(*sidecar.Bytes))
	}
	if sidecar.SHA256 != "" && sidecar.SHA256 != found.sha256 {
		add("sha256", " has the SHA-256 %s, the schedule says %s", found.sha256, sidecar.SHA256)
	}
	return broken
}

// errBadHeader is returned when the header is complete and wrong: waiting fixes nothing.
var errBadHeader = errors.New("the header is wrong")

// countRows counts the rows of the CSV as the check will.
func (c *Checker) countRows(ctx context.Context, p *Parts, inbox *config.Inbox, info *csvfile.Info) (rowCounts, error) {
	f := &Finding{}
	d, err := c.documents(ctx, p, inbox, f)
	if err != nil {
		return rowCounts{}, err
	}
	if _, err := p.CSV.File.Seek(0, io.SeekStart); err != nil {
		return rowCounts{}, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	options := csvfile.Options{File: p.CSV.Name, Wanted: f.wantedColumns(d.layout), Sheet: p.isSheet()}
	reader, problems, err := csvfile.NewReader(p.CSV.File, *info, options)
	switch {
	case err != nil:
		return rowCounts{}, err
	case problems.Count > 0 && (reader != nil || problems.List[0].Code == "header-missing"):
		return rowCounts{}, errBadHeader
	case reader == nil: // even its header is incomplete
		return rowCounts{}, nil
	}
	rows, err := countRows(ctx, reader, nil)
	return countsOf(rows, reader), err
}

// countsOf adds to a number of rows what their reader has counted.
func countsOf(rows int64, reader *csvfile.Reader) rowCounts {
	return rowCounts{rows: rows, empty: reader.EmptyRows(), footers: reader.Footers()}
}

// countRows reads a CSV to its end and returns the number of complete rows; a row that was cut off
// is none. each, which may be nil, is called with every record of a batch.
func countRows(ctx context.Context, reader *csvfile.Reader, each func(batch *csvfile.Batch, i int)) (int64, error) {
	var rows int64
	var batch csvfile.Batch
	for {
		err := reader.ReadBatch(&batch)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		for i := range batch.Len() {
			if fault, _ := batch.Fault(i); fault != csvfile.FaultCutOff {
				rows++
			}
			if each != nil {
				each(&batch, i)
			}
		}
		if err := ctx.Err(); err != nil {
			return rows, err
		}
	}
}
