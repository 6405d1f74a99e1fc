// Package spreadsheet reads one sheet of an .xlsx workbook and writes it as CSV (docs/contract.md 4,
// spreadsheets), one record for each row of the sheet, so that line n of the CSV is row n.
//
// It is pure, streams the sheet, and keeps only the workbook's shared texts and formats in memory,
// both bounded. It never guesses what a cell shows: a number whose digits are uncertain, or a
// formula without a value, becomes a cell that the rules for rows refuse (csvfile.Uncertain,
// csvfile.NoValue); rows that nobody sees refuse the workbook.
//
// The workbook is hostile: it is read within an archive.Budget, and no part of it may be larger
// than a row. A fault of the workbook is an *archive.Refused. Other errors are those of the reader,
// the writer or ctx.
package spreadsheet

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/plan/archive"
)

// xmlFactor is how many times as large as its CSV a workbook may be unpacked.
const xmlFactor = 10

// Options say what to read.
type Options struct {
	File  string                      // name of the workbook, for messages
	Fits  func(columns []string) bool // whether a sheet with these columns is the wanted one; nil: every sheet is
	Most  int64                       // bytes that the CSV may have
	Limit string                      // names what sets Most, for messages
}

// Dates counts the cells of a column that are dates.
type Dates struct {
	Column string // its name in the header
	Count  int
	Row    int // of the first
}

// workbook is an open .xlsx.
type workbook struct {
	Options
	ctx     context.Context
	files   map[string]*zip.File
	budget  *archive.Budget
	sheets  []sheet
	texts   texts
	formats []format // by a cell's s
	is1904  bool     // days count from 1904
}

// sheet is a worksheet that can be seen.
type sheet struct {
	name    string
	file    *zip.File
	columns []string
}

// Convert reads the sheet that fits from the workbook r of size bytes and writes it to w. It returns the
// columns that have dates.
func Convert(ctx context.Context, r io.ReaderAt, size int64, w io.Writer, o Options) ([]Dates, error) {
	z, err := archive.ReadZip(o.File, r, size)
	if err != nil {
		return nil, err
	}
	b := &workbook{Options: o, ctx: ctx, files: map[string]*zip.File{}, budget: archive.NewBudget(o.File, size, o.Most*xmlFactor, o.Limit)}
	for _, f := range z.File {
		b.files[strings.ToLower(f.Name)] = f
	}
	found, err := b.convert(w)
	return found, archive.Explain(o.File, err)
}

func (b *workbook) convert(w io.Writer) ([]Dates, error) {
	if err := b.read(); err != nil {
		return nil, err
	}
	for i := range b.sheets {
		if err := b.header(&b.sheets[i]); err != nil {
			return nil, err
		}
	}
	chosen, err := b.choose()
	if err != nil {
		return nil, err
	}
	rows := newRowWriter(b, w)
	if err := b.rows(chosen, rows.row); err != nil {
		return nil, err
	}
	if err := rows.end(); err != nil {
		return nil, err
	}
	return rows.dateColumns(), nil
}

// errEnough ends the reading of a sheet after its header.
var errEnough = errors.New("enough")

// header reads the columns of a sheet.
func (b *workbook) header(s *sheet) error {
	err := b.rows(s, func(r *row) error {
		s.columns = r.texts()
		if len(s.columns) == 0 {
			return nil
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// choose returns the only sheet that fits.
func (b *workbook) choose() (*sheet, error) {
	var fit, filled []*sheet
	for i := range b.sheets {
		s := &b.sheets[i]
		if len(s.columns) == 0 {
			continue // a new workbook has empty sheets
		}
		filled = append(filled, s)
		if b.Fits == nil || b.Fits(s.columns) {
			fit = append(fit, s)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(filled) == 1:
		return filled[0], nil // the columns that it lacks are reported by name
	case len(filled) == 0:
		return nil, b.refuse("sheet-none", 0, "no sheet that can be seen has any cell; the first row of one must name the columns")
	case len(fit) == 0:
		return nil, b.refuse("sheet-none", 0, "none of its sheets has the columns that the layout uses (%s)", describe(filled))
	}
	return nil, b.refuse("sheet-several", 0, "several of its sheets have the columns that the layout uses (%s); only one may be sent: delete or hide the others", describe(fit))
}

// describe lists sheets with their first columns, for a message.
func describe(sheets []*sheet) string {
	const most = 5
	var all []string
	for _, s := range sheets[:min(len(sheets), most)] {
		var names []string
		for _, c := range s.columns[:min(len(s.columns), most)] {
			names = append(names, fmt.Sprintf("%q", clip(c)))
		}
		all = append(all, fmt.Sprintf("%q: %s", clip(s.name), strings.Join(names, ", ")))
	}
	return strings.Join(all, "; ")
}

// clip shortens a name for a message.
func clip(s string) string { return display.Clip(s, 120) }

// read reads everything but the sheets.
func (b *workbook) read() error {
	main := "xl/workbook.xml"
	links, err := b.links("_rels/.rels")
	if err != nil {
		return err
	}
	for _, l := range links {
		if strings.HasSuffix(l.kind, "/officeDocument") {
			main = l.target
		}
	}
	if !strings.EqualFold(path.Ext(main), ".xml") {
		return b.refuse("archive-other", 0, "is a binary workbook (.xlsb) under another name: save it as .xlsx")
	}
	found, err := b.workbook(main)
	if err != nil {
		return err
	}
	if links, err = b.links(path.Join(path.Dir(main), "_rels", path.Base(main)+".rels")); err != nil {
		return err
	}
	for _, l := range links {
		switch {
		case strings.HasSuffix(l.kind, "/sharedStrings"):
			err = b.sharedTexts(l.target)
		case strings.HasSuffix(l.kind, "/styles"):
			err = b.styles(l.target)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range found {
		i := slices.IndexFunc(links, func(l link) bool { return l.id == s.id && strings.HasSuffix(l.kind, "/worksheet") })
		if s.hidden || i < 0 {
			continue // also charts
		}
		f := b.files[strings.ToLower(links[i].target)]
		if f == nil {
			return b.broken("the sheet %q is missing", s.name)
		}
		b.sheets = append(b.sheets, sheet{name: s.name, file: f})
	}
	return nil
}

// refuse returns an *archive.Refused at a row, 0 for none.
func (b *workbook) refuse(code string, row int, format string, args ...any) error {
	return &archive.Refused{Problem: campaign.Problem{Code: code, File: b.File, Line: row, Message: fmt.Sprintf(format, args...)}}
}

// broken refuses a workbook that isn't one.
func (b *workbook) broken(format string, args ...any) error {
	return b.refuse("xlsx-broken", 0, "the workbook is damaged: "+format+"; open it in the spreadsheet program and save it again", args...)
}
