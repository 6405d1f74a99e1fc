package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// examination is the result of examine: parts to be taken in, or a reason to wait.
type examination struct {
	parts  *check.Parts  // open; the caller closes them; nil if the drop waits
	info   *csvfile.Info // nil for a CSV that is too large to be read
	reason string        // why it waits
	until  time.Time     // next examination; zero if only a change of its files causes one
	end    waitEnd       // of the wait
}

// examine opens the files of a ready drop and finds out whether the CSV is complete
// (docs/contract.md 2, quiet is not complete).
func (in *Intake) examine(ctx context.Context, c *check.Checker, d watch.Drop, inbox *config.Inbox) (examination, error) {
	p, err := openDrop(d)
	if err != nil {
		return examination{}, err
	}
	found, err := in.examineParts(ctx, c, p, d, inbox)
	if err != nil || found.reason != "" {
		p.Close()
		return found, err
	}
	found.parts = p
	return found, nil
}

func (in *Intake) examineParts(ctx context.Context, c *check.Checker, p *check.Parts, d watch.Drop, inbox *config.Inbox) (examination, error) {
	if reason := in.noSpace(d.CSV.ID.Size); reason != "" {
		return examination{reason: reason, until: in.now().Add(time.Minute)}, nil
	}
	if _, limit := c.SidecarAndLimit(p, inbox); d.CSV.ID.Size > limit {
		return examination{}, nil // rejected without reading its rows
	}
	expired := in.now().Sub(d.FirstSeen) > inbox.PairTimeout
	err := c.Unpack(ctx, p, inbox)
	if errors.Is(err, check.ErrNoRoom) {
		return examination{reason: "the disk has no room to unpack the drop: the operator has to make room", until: in.now().Add(time.Minute)}, nil
	}
	if err != nil {
		return examination{}, err
	}
	if reason, wait := incompletePacked(p, inbox); wait || p.Refused() != nil {
		if err := unchanged(p, d); err != nil {
			return examination{}, err
		}
		if wait && !expired {
			return examination{reason: reason, end: endsInFailed}, nil
		}
		return examination{}, nil // rejected
	}
	sidecar, _ := c.SidecarAndLimit(p, inbox) // a zip may have brought it
	info, err := check.Inspect(ctx, p)
	if err != nil {
		return examination{}, err
	}
	// A file that was written to while it was read is examined again.
	if err := unchanged(p, d); err != nil {
		return examination{}, err
	}
	if !expired {
		reason, err := c.ProofMismatch(ctx, p, inbox, info, sidecar)
		if reason != "" || err != nil {
			return examination{reason: reason, end: endsInFailed}, err
		}
	}
	// What was packed has an end of its own.
	if quiet := d.QuietSince.Add(inbox.UnterminatedWait); in.now().Before(quiet) && !p.IsPacked() && !info.Foreign() {
		if info.Bytes == 0 {
			return examination{reason: "the CSV is empty: its upload may just have begun", until: quiet, end: endsInCheck}, nil
		}
		if info.NUL >= 0 {
			return examination{reason: "the CSV holds NUL bytes: part of it may still be on its way", until: quiet, end: endsInCheck}, nil
		}
		if info.Unterminated && !check.HasFullProof(sidecar) {
			return examination{reason: "the last line of the CSV has no line end: the upload may have been cut off", until: quiet, end: endsInCheck}, nil
		}
	}
	return examination{info: info}, nil
}

// incompletePacked returns why a packed drop may not be complete: it has no end, or lacks a part
// that may still come next to it.
func incompletePacked(p *check.Parts, inbox *config.Inbox) (reason string, wait bool) {
	switch wrong := p.Refused(); {
	case wrong != nil:
		return wrong.Problem.Message, wrong.CutOff
	case !p.IsZip():
	case p.Layout.File == nil && inbox.Layout == "":
		return "the zip has no layout, and " + p.Name + ".layout.json must still come", true
	case p.Sidecar.File == nil && inbox.RequireSidecar:
		return "the zip has no schedule, and " + p.Name + ".schedule.json must still come", true
	}
	return "", false
}

// openDrop opens the parts of a drop. It follows no link and never blocks.
func openDrop(d watch.Drop) (*check.Parts, error) {
	p := &check.Parts{Name: d.Name}
	for _, one := range []*watch.File{d.CSV, d.Layout, d.Sidecar} {
		if one == nil {
			continue
		}
		f, stat, err := safeio.OpenRegular(filepath.Join(d.Inbox, one.Name))
		if err == nil {
			err = p.Add(one.Name, f)
		}
		if err == nil && !sameFile(safeio.FileID(stat), one.ID) {
			err = fmt.Errorf("open %q: %w", one.Name, errChanged)
		}
		if err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// unchanged returns errChanged if a file has changed since the drop was ready, or is open for
// writing.
func unchanged(p *check.Parts, d watch.Drop) error {
	for _, one := range []*watch.File{d.CSV, d.Layout, d.Sidecar} {
		if one == nil {
			continue
		}
		if err := isStill(p.AsDropped(one.Name), one.Name, func(now campaign.FileID) bool { return sameFile(now, one.ID) }); err != nil {
			return err
		}
	}
	return nil
}

// untouched returns errChanged if a claimed file has changed since its claim, or is open for
// writing: somebody had it open before the claim or reached it afterwards. A copy from another
// mount has another inode, so only size and mtime are compared.
func untouched(p *check.Parts, s *campaign.Sending) error {
	for _, f := range s.Files {
		file := p.AsDropped(f.Name)
		if file == nil {
			continue
		}
		if err := isStill(file, f.Name, func(now campaign.FileID) bool { return now.Size == f.Size && now.ModTime == f.ModTime }); err != nil {
			return err
		}
	}
	return nil
}

// isStill returns errChanged if an open file isn't the same any more, or is open for writing.
func isStill(file *os.File, name string, same func(now campaign.FileID) bool) error {
	stat, err := file.Stat()
	if err != nil {
		return fmt.Errorf("look at %q: %w", name, err)
	}
	if !same(safeio.FileID(stat)) {
		return fmt.Errorf("look at %q: %w", name, errChanged)
	}
	if busy, known := safeio.Busy(file); known && busy {
		return fmt.Errorf("look at %q: open for writing: %w", name, errChanged)
	}
	return nil
}

// noSpace returns why a CSV of size bytes can't be taken in now, or "".
func (in *Intake) noSpace(size int64) string {
	free, err := in.free(in.stateDir)
	if err != nil {
		return ""
	}
	if need := uint64(size) + check.MinFreeSpace; free < need {
		return fmt.Sprintf("the disk of the store has %s MiB free and taking this drop in needs %s MiB: the operator has to make room", display.Number(free>>20), display.Number(need>>20))
	}
	return ""
}

// vanished reports whether err only says that the files changed or went away. The next scan finds
// them again.
func vanished(err error) bool {
	return errors.Is(err, errChanged) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, safeio.ErrHardLinked)
}
