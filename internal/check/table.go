package check

import (
	"context"
	"fmt"
	"io"
	"slices"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
	"campaignd/internal/watch"
)

// table is a CSV whose header was read.
type table struct {
	info         *csvfile.Info
	reader       *csvfile.Reader // positioned after the header; nil if rows can't be read
	wrongHeader  bool            // empty or repeated names
	wrongColumns bool            // the layout uses columns that don't exist
}

// columns returns the names in the header, or nil if it couldn't be read.
func (t *table) columns() []string {
	if t.reader == nil {
		return nil
	}
	return t.reader.Columns()
}

// table recognizes the CSV and reads its header from counted, which reads its file. Problems are
// recorded in f. The error concerns this machine.
func (c *Checker) table(ctx context.Context, p *Parts, info *csvfile.Info, f *Finding, layout *document.Layout, counted io.Reader) (*table, error) {
	file, t := p.CSV, &table{info: info}
	if file.File == nil {
		return t, nil // reported as missing
	}
	if wrong := p.Refused(); wrong != nil {
		f.Problems.Add(wrong.Problem)
		return t, nil
	}
	stat, err := file.File.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file.Name, err)
	}
	f.Sending.CSV.Bytes = stat.Size()
	if f.Application != nil && stat.Size() > f.Application.MaxFileSize {
		f.Problems.AddCode("csv-too-large", file.Name, 0, 0, "", "has %s; max_file_size allows %s: split it into several drops", display.Amount(stat.Size(), "byte"), display.Number(f.Application.MaxFileSize))
		return t, nil
	}
	if p.unpacked == nil && watch.ParseName(file.Name).Format != watch.FormatCSV {
		return t, nil // too large to be unpacked
	}
	if info == nil {
		if t.info, err = Inspect(ctx, p); err != nil {
			return nil, err
		}
	}
	f.content = t.info.SHA256
	uploaded := p.proven(t.info)
	f.Sending.CSV.Bytes, f.Sending.CSV.SHA256 = uploaded.bytes, uploaded.sha256
	f.proof(uploaded)
	if HasFullProof(f.Sidecar) {
		whole := t.info.Whole()
		t.info = &whole
	}
	if f.Sending.CSV.Encoding = t.info.Encoding; p.isSheet() {
		f.Sending.CSV.Encoding = campaign.EncodingSheet
	}
	if problems := t.info.Problems(file.Name); problems.Count > 0 {
		f.Problems.Merge(problems)
		return t, nil
	}
	f.Sending.Warnings = append(f.Sending.Warnings, t.info.Warnings(file.Name, HasFullProof(f.Sidecar))...)
	if _, err := file.File.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %q: %w", file.Name, err)
	}
	options := csvfile.Options{File: file.Name, Proven: HasFullProof(f.Sidecar), Wanted: f.wantedColumns(layout), Sheet: p.isSheet()}
	// Bytes appended meanwhile are not read; the file counts as changed after the check.
	reader, problems, err := csvfile.NewReader(io.LimitReader(counted, t.info.Bytes+1), *t.info, options)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", file.Name, err)
	}
	f.Problems.Merge(problems)
	if reader == nil {
		if problems.List[0].Code != "header-missing" {
			f.rowsProof(rowCounts{})
		}
		return t, nil
	}
	t.reader, t.wrongHeader = reader, problems.Count > 0
	if !reader.Sheet() {
		f.Sending.CSV.Delimiter = reader.Delimiter()
	}
	if layout != nil && len(reader.Columns()) > 0 {
		missing, warnings := layout.CheckColumns(reader.Columns())
		f.Sending.Warnings = append(f.Sending.Warnings, warnings...)
		if t.wrongColumns = missing.Count > 0; t.wrongColumns && reader.SepLine() {
			f.warn(file.Name, fmt.Sprintf("its first line, sep=, declares %q as the separator; remove the line if that is wrong", reader.Delimiter()))
		}
		f.Problems.Merge(missing.WithCode("layout-invalid"))
	}
	return t, nil
}

// proof compares the file with the proof in the sidecar (docs/contract.md 5).
func (f *Finding) proof(found proven) {
	if f.Sidecar == nil {
		return
	}
	for _, broken := range proofProblems(f.Sidecar, found) {
		f.addProofProblem(broken.Field, broken.Message)
	}
}

// wantedColumns returns the columns that layout, or what takes its place, may use.
func (f *Finding) wantedColumns(layout *document.Layout) []string {
	switch {
	case f.columns != nil:
		return f.columns.Wanted()
	case layout != nil:
		return layoutColumns(layout)
	}
	return nil
}

// layoutColumns returns the columns that the layout uses. They decide the delimiter.
func layoutColumns(l *document.Layout) []string {
	names := slices.Concat(l.ContactCode.Variables(), l.ChannelType.Variables(), l.Reference.Variables())
	for _, field := range l.Fields {
		names = append(names, field.Value.Variables()...)
	}
	return names
}

// Inspect reads the CSV once to recognize it.
func Inspect(ctx context.Context, p *Parts) (*csvfile.Info, error) {
	stat, err := p.CSV.File.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	if _, err := p.CSV.File.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	info, err := csvfile.Inspect(ctx, p.CSV.File, stat.Size(), nil)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	return &info, nil
}

func (f *Finding) warn(file, message string) {
	f.Sending.Warnings = append(f.Sending.Warnings, campaign.Problem{File: file, Message: message})
}
