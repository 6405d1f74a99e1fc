package check

import (
	"archive/zip"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/plan/archive"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/spreadsheet"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// unpacked is what became of a CSV that came packed or as a spreadsheet.
type unpacked struct {
	wrong  *archive.Refused    // why it can't be read, nil if it was unpacked
	sheet  bool                // it is a spreadsheet
	dates  []spreadsheet.Dates // the columns with dates of a spreadsheet
	bytes  int64               // of the file that the sidecar's proof speaks of; 0: the CSV itself
	sha256 string
}

// ErrNoRoom is returned when a file that grows with a drop would fill the disk.
var ErrNoRoom = errors.New("the disk has too little room")

// Unpack makes the CSV of a drop readable that came as .csv.gz, .zip or .xlsx: it is written to a
// file without a name in TempDir, which takes the place of p.CSV and disappears with p or the
// process. The original stays as it came, so that a crash loses nothing. Layout and sidecar in a
// zip become parts of the drop. A file that can't be unpacked is recorded in p and reported by
// Check. The error concerns this machine or ctx; ErrNoRoom if its disk is full.
func (c *Checker) Unpack(ctx context.Context, p *Parts, in *config.Inbox) error {
	format := watch.ParseName(p.CSV.Name).Format
	if p.CSV.File == nil || format == watch.FormatCSV || p.unpacked != nil {
		return nil
	}
	u := &unpacker{checker: c, ctx: ctx, p: p, inbox: in, upload: p.CSV}
	stat, err := u.upload.File.Stat()
	if err != nil {
		return fmt.Errorf("read %q: %w", u.upload.Name, err)
	}
	u.size = stat.Size()
	if _, limit := c.SidecarAndLimit(p, in); u.size > limit {
		return nil // rejected without reading it
	}
	if _, err := u.upload.File.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %q: %w", u.upload.Name, err)
	}
	switch format {
	case watch.FormatGzip:
		err = u.gzip()
	case watch.FormatZip:
		err = u.zip()
	case watch.FormatSheet:
		err = u.sheet(u.upload, u.size)
	case watch.FormatCSV:
	}
	if refused, ok := errors.AsType[*archive.Refused](err); ok {
		u.found.wrong, err = refused, nil
	}
	if err != nil {
		return fmt.Errorf("unpack %q: %w", u.upload.Name, err)
	}
	p.unpacked = &u.found
	return nil
}

// unpacker unpacks one drop.
type unpacker struct {
	checker *Checker
	ctx     context.Context
	p       *Parts
	inbox   *config.Inbox
	upload  Part // as dropped
	size    int64
	found   unpacked
}

// gzip unpacks NAME.csv.gz.
func (u *unpacker) gzip() error {
	hash := sha256.New()
	file, err := u.spool(func(w io.Writer) error {
		packed := io.TeeReader(u.upload.File, hash)
		budget := archive.NewBudget(u.upload.Name, u.size, u.limit(), "max_file_size")
		if err := archive.Gunzip(u.ctx, u.upload.Name, packed, w, budget); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, packed)
		return err
	})
	if err != nil {
		return err
	}
	u.found.bytes, u.found.sha256 = u.size, hex.EncodeToString(hash.Sum(nil))
	u.p.CSV = Part{Name: u.upload.Name, File: file}
	return nil
}

// zip unpacks NAME.zip.
func (u *unpacker) zip() error {
	z, err := archive.ReadZip(u.upload.Name, u.upload.File, u.size)
	if err != nil {
		return err
	}
	d, err := archive.ReadDrop(u.upload.Name, z)
	if err != nil {
		return err
	}
	for _, one := range []struct {
		file *zip.File
		part *Part
	}{{d.Layout, &u.p.Layout}, {d.Sidecar, &u.p.Sidecar}} {
		if one.file == nil {
			continue
		}
		name := archive.NameIn(u.upload.Name, one.file)
		if one.part.File != nil {
			return &archive.Refused{Problem: campaign.Problem{Code: "archive-content", File: name,
				Message: fmt.Sprintf("is in the zip, and %s is next to it: keep one of them", one.part.Name)}}
		}
		// One byte too many is enough for the check of its size.
		budget := archive.NewBudget(name, u.size, document.MaxSize, "the size of a JSON file")
		if one.part.File, err = u.copy(name, one.file, budget, nil); err != nil {
			return err
		}
		one.part.Name = name
	}
	name := archive.NameIn(u.upload.Name, d.CSV)
	budget := archive.NewBudget(u.upload.Name, u.size, u.limit(), "max_file_size") // now with the sidecar in the zip
	hash := sha256.New()
	file, err := u.copy(name, d.CSV, budget, hash)
	if err != nil {
		return err
	}
	if !d.Sheet {
		u.p.CSV = Part{Name: name, File: file}
		return nil
	}
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	u.found.bytes, u.found.sha256 = stat.Size(), hex.EncodeToString(hash.Sum(nil))
	return u.sheet(Part{Name: name, File: file}, stat.Size())
}

// copy unpacks one file of a zip.
func (u *unpacker) copy(name string, f *zip.File, budget *archive.Budget, also io.Writer) (*os.File, error) {
	return u.spool(func(w io.Writer) error {
		if also != nil {
			w = io.MultiWriter(w, also)
		}
		return archive.Copy(u.ctx, name, f, w, budget)
	})
}

// sheet reads an .xlsx of size bytes.
func (u *unpacker) sheet(workbook Part, size int64) error {
	if u.found.sha256 == "" {
		hash := sha256.New()
		if _, err := io.Copy(hash, workbook.File); err != nil {
			return err
		}
		u.found.bytes, u.found.sha256 = size, hex.EncodeToString(hash.Sum(nil))
	}
	u.p.CSV.Name = workbook.Name // for the messages about columns
	options := spreadsheet.Options{File: workbook.Name, Most: u.limit(), Limit: "max_file_size", Fits: u.fits}
	file, err := u.spool(func(w io.Writer) (err error) {
		u.found.dates, err = spreadsheet.Convert(u.ctx, workbook.File, size, w, options)
		return err
	})
	if err != nil {
		return err
	}
	u.found.sheet = true
	u.p.CSV = Part{Name: workbook.Name, File: file}
	return nil
}

// fits reports whether a sheet has the columns that the layout, or what takes its place, uses.
func (u *unpacker) fits(columns []string) bool {
	f := &Finding{}
	d, err := u.checker.documents(u.ctx, u.p, u.inbox, f)
	switch {
	case err != nil:
		return true // reported by the check
	case f.columns != nil:
		own := *f.columns // another sheet has other columns
		own.Columns = columns
		_, wrong := own.Layout()
		return wrong.Count == 0
	case d.layout != nil:
		wrong, _ := d.layout.CheckColumns(columns)
		return wrong.Count == 0
	}
	return true
}

// limit returns the most bytes that the CSV may have.
func (u *unpacker) limit() int64 {
	_, limit := u.checker.SidecarAndLimit(u.p, u.inbox)
	return limit
}

// spool writes a file without a name.
func (u *unpacker) spool(write func(io.Writer) error) (*os.File, error) {
	dir := cmp.Or(u.checker.TempDir, os.TempDir())
	file, err := SpillFile(dir)
	if err != nil {
		return nil, err
	}
	u.p.opened = append(u.p.opened, file)
	if err := write(NewRoomWriter(file, dir, safeio.FreeSpace)); err != nil {
		return nil, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// MinFreeSpace is the free space in bytes below which no drop is taken in, so that what was
// accepted can still be recorded on a nearly full disk.
const MinFreeSpace = 64 << 20

// roomInterval is how many bytes are written between two looks at the free space.
const roomInterval = 16 << 20

// NewRoomWriter returns a writer that writes to w as long as MinFreeSpace is left on the disk of path,
// and then fails with ErrNoRoom. free returns the free bytes of a path's disk.
func NewRoomWriter(w io.Writer, path string, free func(path string) (uint64, error)) io.Writer {
	return &roomWriter{w: w, path: path, free: free}
}

type roomWriter struct {
	w    io.Writer
	path string
	free func(path string) (uint64, error)
	next int64 // bytes until the next look
}

// Write implements io.Writer.
func (r *roomWriter) Write(p []byte) (int, error) {
	n := int64(len(p))
	if n > r.next {
		r.next = max(n, roomInterval)
		if free, err := r.free(r.path); err == nil {
			r.next = min(r.next, int64(free)-MinFreeSpace)
		}
		if n > r.next {
			return 0, ErrNoRoom
		}
	}
	r.next -= n
	return r.w.Write(p)
}

// Refused returns why the CSV can't be unpacked, nil if it can or came as it is.
func (p *Parts) Refused() *archive.Refused {
	if p.unpacked == nil {
		return nil
	}
	return p.unpacked.wrong
}

// IsPacked reports whether the CSV was unpacked or written from a spreadsheet.
func (p *Parts) IsPacked() bool { return p.unpacked != nil }

// isSheet reports whether the CSV was written from a spreadsheet.
func (p *Parts) isSheet() bool { return p.unpacked != nil && p.unpacked.sheet }

// proven describes the file that the sidecar's proof speaks of (docs/contract.md 5).
type proven struct {
	name   string // for messages
	bytes  int64
	sha256 string
}

func (p *Parts) proven(info *csvfile.Info) proven {
	found := proven{"the CSV", info.Bytes, info.SHA256}
	if p.unpacked == nil {
		return found
	}
	if found.name = p.CSV.Name; !strings.Contains(found.name, "/") { // it isn't in a zip
		found.name += ", as it was uploaded,"
	}
	if p.unpacked.sha256 != "" {
		found.bytes, found.sha256 = p.unpacked.bytes, p.unpacked.sha256
	}
	return found
}

// noteDates warns about the cells of used columns that a spreadsheet shows as dates.
func (f *Finding) noteDates(p *Parts, used []string) {
	if !p.isSheet() {
		return
	}
	for _, d := range p.unpacked.dates {
		if !slices.Contains(used, d.Column) {
			continue
		}
		cells := "1 cell is a date and was"
		if d.Count > 1 {
			cells = display.Number(d.Count) + " cells are dates and were"
		}
		f.Sending.Warnings = append(f.Sending.Warnings, campaign.Problem{Code: "cells-date", File: p.CSV.Name, Line: d.Row, Field: d.Column,
			Message: cells + " written like 2026-11-28; this is the first"})
	}
}

// IsZip reports whether the CSV came in a zip, which may have brought other parts.
func (p *Parts) IsZip() bool {
	return slices.ContainsFunc(p.dropped, func(one Part) bool { return watch.ParseName(one.Name).Format == watch.FormatZip })
}
