package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/recipients"
)

// csv reads the CSV twice: first to recognize it, unless info is given, then its rows. It finds as
// many errors as it can, whatever else is wrong with the drop.
//
// It returns the layout, which is made from the columns where the inbox says so.
func (c *Checker) csv(ctx context.Context, p *Parts, info *csvfile.Info, f *Finding, d documents,
	writer RowWriter, spill recipients.Spill, progress func(float64)) (*document.Layout, error) {
	counted := &countingReader{r: p.CSV.File}
	t, err := c.table(ctx, p, info, f, d.layout, counted)
	if err != nil {
		return nil, err
	}
	layout := d.layout
	if f.columns != nil && t.reader != nil && !t.wrongHeader {
		var wrong campaign.Problems
		f.columns.Columns = t.columns()
		layout, wrong = f.columns.Layout()
		f.Problems.Merge(wrong)
		t.wrongColumns = wrong.Count > 0
	} else if layout != nil {
		// The message lists the columns, if they could be read.
		f.Problems.Merge(layout.CheckVariables(f.Sending.Variables, t.columns()).WithCode("layout-invalid"))
	}
	f.noteDates(p, f.wantedColumns(layout))
	f.documentProblems = f.Problems.Count
	return layout, c.rows(ctx, p, f, t, layout, d.rules, counted, writer, spill, progress)
}

// rows checks the rows of a table, in full if what is known about the drop allows it.
func (c *Checker) rows(ctx context.Context, p *Parts, f *Finding, t *table, layout *document.Layout, rules *channelRules, counted *countingReader,
	writer RowWriter, spill recipients.Spill, progress func(float64)) error {
	reader, file := t.reader, p.CSV.Name
	switch {
	case reader == nil:
		return nil
	case t.wrongHeader: // a name may mean another column
		return f.structure(ctx, file, reader, nil, nil)
	case t.wrongColumns || rules == nil || layout == nil || layout.Incomplete():
		return f.structure(ctx, file, reader, layout, rules)
	}
	r, err := recipients.New(c.spec(file, layout, reader, rules, f))
	if err != nil { // customFields lacks a variable of the campaign, which is reported
		return f.structure(ctx, file, reader, layout, rules)
	}
	reader.LimitBatch(r.BatchRows())
	if f.Problems.Count > 0 || writer == nil {
		writer = discard{} // a drop that is rejected anyway is not stored
	}
	writer.Header(reader.AppendRejectedHeader(nil))
	if spill == nil {
		spill = &recipients.Memory{}
	}
	a := r.Assemble(t.info.RowBound(), spill, writer)
	share := func() {
		if progress != nil && t.info.Bytes > 0 {
			progress(float64(counted.n.Load()) / float64(t.info.Bytes))
		}
	}
	err = assemble(ctx, reader, r, a, share)
	if broken, ok := errors.AsType[*csvfile.Broken](err); ok {
		f.broken(broken)
		f.Problems.Merge(a.Problems())
		f.verdict = broken.Problem.String()
		return nil
	}
	if err != nil {
		return err
	}
	f.takeRows(a, reader)
	return nil
}

// takeRows copies counts, previews, warnings and problems of the rows that reader has read.
func (f *Finding) takeRows(a *recipients.Assembler, reader *csvfile.Reader) {
	s := &f.Sending
	s.Rows, s.Planned = a.Counts()
	s.Previews = a.Previews()
	f.PreviewLine, f.PreviewRefusal = a.PreviewRow()
	s.Warnings = append(append(s.Warnings, reader.Warnings()...), a.Warnings()...)
	whole := int64(s.Rows.Total)
	for _, p := range a.Verdict() {
		if p.Line > 0 { // the only verdict about a single row: the last one was cut off
			whole--
		}
		f.Problems.Add(p)
		if f.verdict == "" {
			f.verdict = p.String()
		}
	}
	f.rowsProof(countsOf(whole, reader))
	f.Problems.Merge(a.Problems()) // last, because problems of the whole drop must be among the listed ones
}

func (c *Checker) spec(file string, layout *document.Layout, reader *csvfile.Reader, rules *channelRules, f *Finding) recipients.Spec {
	app := f.Application
	return recipients.Spec{
		File: file, Layout: layout, Columns: reader.Columns(), Variables: f.Sending.Variables,
		Channels: rules.allowed, NotAllowed: rules.notAllowed,
		Dedupe: app.Dedupe, MaxRows: app.MaxRows, MaxBadRows: app.MaxBadRows, Previews: 5, PreviewRow: c.PreviewRow,
	}
}

// countingReader counts the bytes read, for the progress.
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
	batch   csvfile.Batch
	checked recipients.Checked
	done    chan struct{} // receives one value when checked holds the result
}

// assemble passes the rows through one reader, several checkers and the assembler, which takes the
// batches in the order of the file. The number of jobs bounds the memory.
func assemble(ctx context.Context, reader *csvfile.Reader, r *recipients.Checker, a *recipients.Assembler, share func()) error {
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	jobs := workers + 2
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
			work <- j // never blocks: the channels have room for every job
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
			if errors.Is(err, recipients.ErrTooManyRows) {
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
	if err != nil && !errors.Is(err, recipients.ErrTooManyRows) {
		return err
	}
	if err := a.Finish(); err != nil {
		return fmt.Errorf("take rows: %w", err)
	}
	return nil
}
