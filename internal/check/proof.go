package check

import (
	"context"
	"errors"
	"fmt"
	"io"

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
	bytes, sha256 := p.proven(info)
	if broken := proofProblems(sidecar, bytes, sha256); len(broken) > 0 {
		return broken[0].Message, nil
	}
	if sidecar.Rows != nil {
		rows, empty, err := c.countRows(ctx, p, inbox, info)
		if errors.Is(err, errBadHeader) {
			return "", nil
		}
		if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
			return unreadableRows(*sidecar.Rows, broken), nil
		}
		if err != nil {
			return "", err
		}
		if !promisedRows(*sidecar.Rows, rows, empty) {
			return rowsMismatch(*sidecar.Rows, rows), nil
		}
	}
	return "", nil
}

// HasFullProof reports whether the sidecar proves the CSV to its last byte. The number of rows
// doesn't: a cell that was cut is still a cell.
func HasFullProof(sidecar *document.Sidecar) bool {
	return sidecar != nil && (sidecar.SHA256 != "" || sidecar.Bytes != nil)
}

// promisedRows reports whether a file has the promised number of rows, which may include
// the rows of empty cells (docs/contract.md 5).
func promisedRows(promised, rows, empty int64) bool {
	return promised == rows || promised == rows+empty
}

func rowsMismatch(promised, found int64) string {
	if promised == found+1 {
		return fmt.Sprintf("the CSV has %s, the sidecar promised %s; the first line names the columns and doesn't count", display.Amount(found, "data row"), display.Number(promised))
	}
	return fmt.Sprintf("the CSV has %s, the sidecar promised %s", display.Amount(found, "data row"), display.Number(promised))
}

func unreadableRows(promised int64, broken *csvfile.Broken) string {
	return fmt.Sprintf("the CSV can't be read to its end (line %d), the sidecar promised %s", broken.Problem.Line, display.Amount(promised, "data row"))
}

// proofProblems compares size and digest with the sidecar (docs/contract.md 5).
func proofProblems(sidecar *document.Sidecar, bytes int64, sha256 string) []campaign.Problem {
	var broken []campaign.Problem
	if sidecar.Bytes != nil && *sidecar.Bytes != bytes {
		broken = append(broken, campaign.Problem{Code: "proof-mismatch", File: sidecar.File, Field: "bytes",
			Message: fmt.Sprintf("the CSV has %s, the sidecar promised %s", display.Amount(bytes, "byte"), display.Number(*sidecar.Bytes))})
	}
	if sidecar.SHA256 != "" && sidecar.SHA256 != sha256 {
		broken = append(broken, campaign.Problem{Code: "proof-mismatch", File: sidecar.File, Field: "sha256",
			Message: fmt.Sprintf("the CSV has the SHA-256 %s, the sidecar promised %s", sha256, sidecar.SHA256)})
	}
	return broken
}

// errBadHeader is returned when the header is complete and wrong: waiting fixes nothing.
var errBadHeader = errors.New("the header is wrong")

// countRows counts the data rows of the CSV as the check will, and the skipped rows of empty cells.
func (c *Checker) countRows(ctx context.Context, p *Parts, inbox *config.Inbox, info *csvfile.Info) (rows, empty int64, err error) {
	f := &Finding{}
	d, err := c.documents(ctx, p, inbox, f)
	if err != nil {
		return 0, 0, err
	}
	if _, err := p.CSV.File.Seek(0, io.SeekStart); err != nil {
		return 0, 0, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	options := csvfile.Options{File: p.CSV.Name, Wanted: f.wantedColumns(d.layout), Sheet: p.isSheet()}
	reader, problems, err := csvfile.NewReader(p.CSV.File, *info, options)
	switch {
	case err != nil:
		return 0, 0, err
	case problems.Count > 0 && (reader != nil || problems.List[0].Code == "header-missing"):
		return 0, 0, errBadHeader
	case reader == nil: // even its header is incomplete
		return 0, 0, nil
	}
	rows, err = countRows(ctx, reader, nil)
	return rows, reader.EmptyRows(), err
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
