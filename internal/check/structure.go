package check

import (
	"context"
	"errors"
	"math"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/recipients"
)

// structure checks the rows of a drop that is rejected anyway and whose rows can't be checked in
// full: their number, their cells, and contact and channel as far as layout and campaign allow.
func (f *Finding) structure(ctx context.Context, file string, reader *csvfile.Reader, layout *document.Layout, rules *channelRules) error {
	spec := recipients.Spec{File: file, Layout: layout, Columns: reader.Columns()}
	if rules != nil {
		spec.Channels, spec.NotAllowed = rules.allowed, rules.notAllowed
	}
	partial := recipients.NewPartial(spec)
	var bad campaign.Problems // last: what stops the whole drop must be among those that are listed
	defer func() { f.Problems.Merge(bad) }()
	rows, err := countRows(ctx, reader, func(batch *csvfile.Batch, i int) {
		one, wrong := partial.Check(reader, batch, i)
		if wrong {
			bad.Add(one)
		}
	})
	if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
		f.broken(broken)
		return nil
	}
	if err != nil {
		return err
	}
	if code, why := rowCountProblem(rows, f.Application); why != "" {
		f.Problems.AddCode(code, file, 0, 0, "", "%s", why)
	}
	f.Sending.Rows.Total = uint32(min(rows, math.MaxUint32))
	f.rowsProof(countsOf(rows, reader))
	return nil
}

// rowCountProblem returns why a CSV with that many rows can't be taken, with its code, or "".
func rowCountProblem(rows int64, app *config.Application) (code, why string) {
	switch {
	case rows == 0:
		return "rows-none", recipients.NoRow
	case app != nil && rows > int64(app.MaxRows):
		return "rows-many", recipients.TooManyRows(app.MaxRows)
	}
	return "", ""
}

// broken records why a CSV can't be read to its end.
func (f *Finding) broken(broken *csvfile.Broken) {
	f.Problems.Add(broken.Problem)
	if sc := f.Sidecar; sc != nil && sc.Rows != nil {
		f.addProofProblem("rows", unreadableRows(*sc.Rows, broken))
	}
}

// rowsProof compares the number of rows with the sidecar.
func (f *Finding) rowsProof(counted rowCounts) {
	if sc := f.Sidecar; sc != nil && sc.Rows != nil && !counted.match(*sc.Rows) {
		f.addProofProblem("rows", counted.mismatch(*sc.Rows))
	}
}

// addProofProblem records that the CSV differs from the sidecar's key.
func (f *Finding) addProofProblem(key, message string) {
	line, column := f.Sidecar.Place(key)
	f.Problems.Add(campaign.Problem{Code: "proof-mismatch", File: f.Sidecar.File, Line: line, Column: column, Field: key, Message: message})
}
