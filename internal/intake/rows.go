package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/roster"
	"campaignd/internal/plan/sheet"
)

// csv reads the CSV twice: what it is, unless info tells, then its rows. Whatever
// else is wrong with the drop, as many of the CSV's errors are found as can be.
func (c *Checker) csv(ctx context.Context, p *Parts, info *sheet.Info, f *Finding, layout *document.Layout,
	rules *channelRules, sink rowSink, spill roster.Spill, progress func(float64)) error {
	file := p.CSV
	stat, err := file.File.Stat()
	if err != nil {
		return fmt.Errorf("read %q: %w", file.Name, err)
	}
	f.Sending.CSV.Bytes = stat.Size()
	if f.Application != nil && stat.Size() > f.Application.MaxFileSize {
		f.Problems.Addf(file.Name, 0, 0, "", "has %d bytes; max_file_size allows %d: split it into several drops", stat.Size(), f.Application.MaxFileSize)
		return nil
	}
	if info == nil {
		if info, err = Inspect(ctx, p); err != nil {
			return err
		}
	}
	f.Sending.CSV = campaign.CSVInfo{Bytes: info.Bytes, SHA256: info.SHA256, Encoding: info.Encoding}
	c.proof(f, info)
	if problems := info.Problems(file.Name); problems.Count > 0 {
		f.Problems.Merge(problems)
		return nil
	}
	if info.Assumed {
		f.warn(file.Name, "is not UTF-8 and was read as Windows-1252; save it as UTF-8 if letters look wrong in the messages")
	}
	if info.Unterminated && !proven(f.Sidecar) {
		f.warn(file.Name, "its last line has no end: if the upload was cut, something is missing; \"bytes\" or \"sha256\" in the sidecar would prove the file whole")
	}
	if _, err := file.File.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %q: %w", file.Name, err)
	}
	options := sheet.Options{File: file.Name}
	if layout != nil {
		options.Wanted = wanted(layout)
	}
	counted := &countingReader{r: file.File}
	reader, problems, err := sheet.NewReader(counted, *info, options)
	if err != nil {
		return fmt.Errorf("read %q: %w", file.Name, err)
	}
	f.Problems.Merge(problems)
	if reader == nil {
		f.rowsProof(0)
		return nil
	}
	f.Sending.CSV.Delimiter = reader.Delimiter()
	if layout != nil && len(reader.Columns()) > 0 {
		problems.Merge(layout.CheckColumns(reader.Columns()))
		f.Problems.Merge(layout.CheckColumns(reader.Columns()))
	}
	if problems.Count > 0 || layout == nil || rules == nil {
		return f.structure(ctx, file.Name, reader)
	}
	r, err := roster.New(c.spec(file.Name, layout, reader, rules, f))
	if err != nil { // a campaign variable that customFields lacks; it is reported
		return f.structure(ctx, file.Name, reader)
	}
	reader.LimitBatch(r.BatchRows())
	if f.Problems.Count > 0 || sink == nil {
		sink = discard{} // nothing of a drop that is rejected anyway is stored
	}
	sink.Header(reader.AppendRejectedHeader(nil))
	if spill == nil {
		spill = &roster.Memory{}
	}
	a := r.Assemble(info.RowBound(), spill, sink)
	share := func() {
		if progress != nil && info.Bytes > 0 {
			progress(float64(counted.n.Load()) / float64(info.Bytes))
		}
	}
	err = assemble(ctx, reader, r, a, share)
	if broken, ok := errors.AsType[*sheet.Broken](err); ok {
		f.Problems.Merge(a.Problems())
		f.broken(broken)
		f.verdict = broken.Problem.String()
		return nil
	}
	if err != nil {
		return err
	}
	f.take(a)
	return nil
}

// take notes what the rows came to.
func (f *Finding) take(a *roster.Assembler) {
	s := &f.Sending
	s.Rows, s.Planned = a.Counts()
	s.Previews = a.Previews()
	f.Problems.Merge(a.Problems())
	whole := int64(s.Rows.Total)
	for _, p := range a.Verdict() {
		if p.Line > 0 { // the one verdict about a row: the last was cut off
			whole--
		}
		f.Problems.Add(p)
		if f.verdict == "" {
			f.verdict = p.String()
		}
	}
	f.rowsProof(whole)
}

// rowsProof holds the number of rows against what the sidecar promised.
func (f *Finding) rowsProof(rows int64) {
	if sc := f.Sidecar; sc != nil && sc.Rows != nil && *sc.Rows != rows {
		f.Problems.Addf(sc.File, 0, 0, "rows", "%s", rowsPromise(*sc.Rows, rows))
	}
}

// structure finds what is wrong with the rows of a drop that is rejected anyway and
// whose rows can't be checked in full: their number, their cells, their quotes.
func (f *Finding) structure(ctx context.Context, file string, reader *sheet.Reader) error {
	columns := len(reader.Columns())
	rows, err := countRows(ctx, reader, func(line uint32, fault sheet.Fault, cells int) {
		switch fault {
		case sheet.FaultCells:
			f.Problems.Addf(file, int(line), 0, "", "the row has %s and the header %d; a cell that holds the delimiter or a line break has to stand in quotes",
				amount(int64(cells), "cell"), columns)
		case sheet.FaultCutOff:
			f.Problems.Addf(file, int(line), 0, "", "the file ends within this row: it was cut off; upload it again")
		case sheet.FaultQuote:
			f.Problems.Addf(file, int(line), 0, "", `a quote stands within a cell that doesn't begin with one; a cell with quotes is written "like ""this"" one"`)
		case sheet.FaultNone, sheet.FaultDelimiter: // how a row is cut depends on the layout
		}
	})
	if broken, ok := errors.AsType[*sheet.Broken](err); ok {
		f.broken(broken)
		return nil
	}
	if err != nil {
		return err
	}
	f.rowsProof(rows)
	return nil
}

// broken notes why a CSV can't be read to its end.
func (f *Finding) broken(broken *sheet.Broken) {
	f.Problems.Add(broken.Problem)
	if sc := f.Sidecar; sc != nil && sc.Rows != nil {
		f.Problems.Addf(sc.File, 0, 0, "rows", "%s", unreadable(*sc.Rows, broken))
	}
}

// proof holds the file against what the sidecar promised (SPEC 5).
func (c *Checker) proof(f *Finding, info *sheet.Info) {
	if f.Sidecar == nil {
		return
	}
	for _, broken := range brokenProof(f.Sidecar, info) {
		f.Problems.Add(broken)
	}
}

func (c *Checker) spec(file string, layout *document.Layout, reader *sheet.Reader, rules *channelRules, f *Finding) roster.Spec {
	app := f.Application
	return roster.Spec{
		File: file, Layout: layout, Columns: reader.Columns(), Variables: f.Sending.Variables,
		Channels: rules.allowed, NotAllowed: rules.notAllowed,
		Dedupe: app.Dedupe, MaxRows: app.MaxRows, MaxBadRows: app.MaxBadRows, Previews: 5,
	}
}

// wanted are the columns that the layout names: they decide the delimiter.
func wanted(l *document.Layout) []string {
	names := append(l.ContactCode.Variables(), l.ChannelType.Variables()...)
	for _, field := range l.Fields {
		names = append(names, field.Value.Variables()...)
	}
	return names
}

// Inspect takes the first pass over the CSV.
func Inspect(ctx context.Context, p *Parts) (*sheet.Info, error) {
	stat, err := p.CSV.File.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	if _, err := p.CSV.File.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	info, err := sheet.Inspect(ctx, p.CSV.File, stat.Size(), nil)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	return &info, nil
}

// countingReader counts what is read, for the percentage.
type countingReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// job is one batch on its way through the workers.
type job struct {
	batch   sheet.Batch
	checked roster.Checked
	done    chan struct{} // takes one value when checked holds the result
}

// assemble runs the rows through one reader, a few checkers and the assembler,
// which takes the batches in the order of the file. Memory is bounded by the jobs there are.
func assemble(ctx context.Context, reader *sheet.Reader, r *roster.Roster, a *roster.Assembler, share func()) error {
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	jobs := 2*workers + 2
	free, work, ordered := make(chan *job, jobs), make(chan *job, jobs), make(chan *job, jobs)
	for range jobs {
		free <- &job{done: make(chan struct{}, 1)}
	}
	group.Go(func() error { // reads
		defer close(work)
		defer close(ordered)
		for {
			var j *job
			select {
			case j = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			err := reader.ReadBatch(&j.batch)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			work <- j // never blocks: the channels hold every job there is
			ordered <- j
		}
	})
	for range workers {
		group.Go(func() error { // checks
			for j := range work {
				r.Check(reader, &j.batch, &j.checked)
				j.done <- struct{}{}
			}
			return nil
		})
	}
	group.Go(func() error { // puts together
		for j := range ordered {
			<-j.done
			err := a.Add(&j.checked)
			if errors.Is(err, roster.ErrPointless) {
				return err
			}
			if err != nil {
				return fmt.Errorf("take rows: %w", err)
			}
			share()
			free <- j
		}
		return nil
	})
	err := group.Wait()
	if err != nil && !errors.Is(err, roster.ErrPointless) {
		return err
	}
	if err := a.Finish(); err != nil {
		return fmt.Errorf("take rows: %w", err)
	}
	return nil
}

func (f *Finding) warn(file, message string) {
	f.Sending.Warnings = append(f.Sending.Warnings, campaign.Problem{File: file, Message: message})
}
