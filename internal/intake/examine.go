package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/sheet"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// examine opens the files of a ready drop and finds out whether the CSV is whole
// (SPEC 2, quiet is not whole). With a reason the drop waits, until the time given
// or, if that is zero, until its files change. The parts are the caller's to close when there is
// neither reason nor error.
func (in *Intake) examine(ctx context.Context, d watch.Drop, inbox *config.Inbox) (p *Parts, info *sheet.Info, reason string, until time.Time, err error) {
	p, err = openDrop(d)
	if err != nil {
		return nil, nil, "", time.Time{}, err
	}
	keep := false
	defer func() {
		if !keep {
			p.Close()
		}
	}()
	if reason := in.noSpace(d.CSV.ID.Size); reason != "" {
		return nil, nil, reason, in.now().Add(time.Minute), nil
	}
	sidecar, limit := in.promise(p, inbox)
	if d.CSV.ID.Size > limit {
		keep = true // rejected without a look at its rows
		return p, nil, "", time.Time{}, nil
	}
	info, err = Inspect(ctx, p)
	if err != nil {
		return nil, nil, "", time.Time{}, err
	}
	// A file that was written to while it was read is looked at anew (PITFALLS 12).
	if changed := unchanged(p, d); changed != nil {
		return nil, nil, "", time.Time{}, changed
	}
	if expired := in.now().Sub(d.FirstSeen) > inbox.PairTimeout; !expired {
		reason, err := in.unproven(ctx, p, info, sidecar)
		if reason != "" || err != nil {
			return nil, nil, reason, time.Time{}, err
		}
	}
	quiet := d.QuietSince.Add(inbox.UnterminatedWait)
	if in.now().Before(quiet) {
		if info.NUL >= 0 {
			return nil, nil, "the CSV holds NUL bytes: part of it may still be on its way", quiet, nil
		}
		if info.Unterminated && !proven(sidecar) {
			return nil, nil, "the last line of the CSV has no end: the upload may have been cut off", quiet, nil
		}
	}
	keep = true
	return p, info, "", time.Time{}, nil
}

// openDrop opens the parts of a drop, following no link and blocking on nothing.
func openDrop(d watch.Drop) (*Parts, error) {
	p := &Parts{Name: d.Name}
	for _, one := range []struct {
		file *watch.File
		part *Part
	}{{d.CSV, &p.CSV}, {d.Layout, &p.Layout}, {d.Sidecar, &p.Sidecar}} {
		if one.file == nil {
			continue
		}
		f, stat, err := safeio.OpenRegular(filepath.Join(d.Inbox, one.file.Name))
		if err != nil {
			p.Close()
			return nil, err
		}
		*one.part = Part{Name: one.file.Name, File: f}
		if !sameFile(safeio.FileID(stat), one.file.ID) {
			p.Close()
			return nil, fmt.Errorf("open %q: %w", one.file.Name, errChanged)
		}
	}
	return p, nil
}

// unchanged is errChanged if a file is no longer as it was when the drop was
// ready, or is open for writing.
func unchanged(p *Parts, d watch.Drop) error {
	for _, one := range []struct {
		part Part
		file *watch.File
	}{{p.CSV, d.CSV}, {p.Layout, d.Layout}, {p.Sidecar, d.Sidecar}} {
		if one.part.File == nil {
			continue
		}
		stat, err := one.part.File.Stat()
		if err != nil {
			return fmt.Errorf("look at %q: %w", one.part.Name, err)
		}
		if !sameFile(safeio.FileID(stat), one.file.ID) {
			return fmt.Errorf("look at %q: %w", one.part.Name, errChanged)
		}
		if busy, known := safeio.Busy(one.part.File); known && busy {
			return fmt.Errorf("look at %q: open for writing: %w", one.part.Name, errChanged)
		}
	}
	return nil
}

// untouched is errChanged if a claimed file is no longer as it was claimed, or is open
// for writing: someone had it open before the claim, or reached it behind our back.
// A copy from another mount is another file, so its place on disk says nothing here.
func untouched(p *Parts, s *campaign.Sending) error {
	for _, f := range s.Files {
		for _, one := range []Part{p.CSV, p.Layout, p.Sidecar} {
			if one.File == nil || one.Name != f.Name {
				continue
			}
			stat, err := one.File.Stat()
			if err != nil {
				return fmt.Errorf("look at %q: %w", f.Name, err)
			}
			if now := safeio.FileID(stat); now.Size != f.Size || now.ModTime != f.ModTime {
				return fmt.Errorf("look at %q: %w", f.Name, errChanged)
			}
			if busy, known := safeio.Busy(one.File); known && busy {
				return fmt.Errorf("look at %q: open for writing: %w", f.Name, errChanged)
			}
		}
	}
	return nil
}

// promise reads what the sidecar promises and how large the CSV may be. A sidecar that can't
// be read promises nothing: its errors are reported when the drop is checked.
func (in *Intake) promise(p *Parts, inbox *config.Inbox) (*document.Sidecar, int64) {
	c := in.checker()
	f := &Finding{}
	if err := c.sidecar(p, inbox, f); err != nil {
		return nil, 0
	}
	app := c.Config.Application(f.Sending.ApplicationID)
	if app == nil {
		// Rejected anyway; the largest file of any application bounds the work.
		limit := int64(0)
		for i := range c.Config.Applications {
			limit = max(limit, c.Config.Applications[i].MaxFileSize)
		}
		return f.Sidecar, limit
	}
	return f.Sidecar, app.MaxFileSize
}

// unproven says in which way the CSV is not what the sidecar promised, "" if it is.
func (in *Intake) unproven(ctx context.Context, p *Parts, info *sheet.Info, sidecar *document.Sidecar) (string, error) {
	if sidecar == nil {
		return "", nil
	}
	if broken := brokenProof(sidecar, info); len(broken) > 0 {
		return broken[0].Message, nil
	}
	if sidecar.Rows != nil {
		rows, err := in.countRows(ctx, p, info)
		if errors.Is(err, errBadHeader) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		if rows != *sidecar.Rows {
			return rowsPromise(*sidecar.Rows, rows), nil
		}
	}
	return "", nil
}

// proven reports whether a sidecar promises what the CSV is.
func proven(sidecar *document.Sidecar) bool {
	return sidecar != nil && (sidecar.SHA256 != "" || sidecar.Bytes != nil || sidecar.Rows != nil)
}

// amount is "1 row" or "2 rows".
func amount(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func rowsPromise(promised, found int64) string {
	return fmt.Sprintf("the CSV has %s, the sidecar promised %d", amount(found, "data row"), promised)
}

// brokenProof holds size and digest against the sidecar (SPEC 5).
func brokenProof(sidecar *document.Sidecar, info *sheet.Info) []campaign.Problem {
	var broken []campaign.Problem
	if sidecar.Bytes != nil && *sidecar.Bytes != info.Bytes {
		broken = append(broken, campaign.Problem{File: sidecar.File, Field: "bytes",
			Message: fmt.Sprintf("the CSV has %s, the sidecar promised %d", amount(info.Bytes, "byte"), *sidecar.Bytes)})
	}
	if sidecar.SHA256 != "" && sidecar.SHA256 != info.SHA256 {
		broken = append(broken, campaign.Problem{File: sidecar.File, Field: "sha256",
			Message: fmt.Sprintf("the CSV has the SHA-256 %s, the sidecar promised %s", info.SHA256, sidecar.SHA256)})
	}
	return broken
}

// errBadHeader is returned when the header is whole and wrong: waiting mends nothing.
var errBadHeader = errors.New("the header is wrong")

// countRows counts the data rows of the CSV as the check will.
func (in *Intake) countRows(ctx context.Context, p *Parts, info *sheet.Info) (int64, error) {
	layout, _, err := in.checker().layout(p, &Finding{})
	if err != nil {
		return 0, err
	}
	if _, err := p.CSV.File.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	options := sheet.Options{File: p.CSV.Name}
	if layout != nil {
		options.Wanted = wanted(layout)
	}
	reader, problems, err := sheet.NewReader(p.CSV.File, *info, options)
	if err != nil {
		return 0, err
	}
	if reader == nil { // not even its header is whole
		return 0, nil
	}
	if problems.Count > 0 {
		return 0, errBadHeader
	}
	var rows int64
	var batch sheet.Batch
	for {
		err := reader.ReadBatch(&batch)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if broken, ok := errors.AsType[*sheet.Broken](err); ok && broken != nil {
			return rows, nil // cut off within a row: as many as could be read
		}
		if err != nil {
			return 0, err
		}
		rows += int64(batch.Len())
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
}

// reserve is the free space in bytes below which nothing new is taken in, so that what
// was accepted can still be recorded (PITFALLS 29).
const reserve = 64 << 20

// noSpace says why a CSV of size bytes can't be taken in now, "" if it can.
func (in *Intake) noSpace(size int64) string {
	free, err := in.free(in.stateDir)
	if err != nil {
		return ""
	}
	if need := uint64(size) + reserve; free < need {
		return fmt.Sprintf("the disk of the store has %d MiB free and taking this drop in needs %d MiB: the operator has to make room", free>>20, need>>20)
	}
	return ""
}

// vanished reports whether err only says that the files changed or went away: met
// anew at the next scan.
func vanished(err error) bool {
	return errors.Is(err, errChanged) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, safeio.ErrHardLinked)
}
