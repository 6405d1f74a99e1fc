package check

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// Part is one open file of a drop. File is nil if there is none.
type Part struct {
	Name string // as dropped, or archive/name for a file of an archive
	File *os.File
}

// Parts holds the files of one drop.
type Parts struct {
	Name                 string // base name of the drop
	CSV, Layout, Sidecar Part   // as they are read
	dropped              []Part // as they were dropped
	opened               []*os.File
	unpacked             *unpacked // nil: the CSV came as it is, or Unpack wasn't called
	schedule             *reading  // of the sidecar and the defaults alone; nil: not read yet
	documents            *reading  // nil: not read yet
}

// Close closes the open files.
func (p *Parts) Close() {
	for _, file := range p.opened {
		_ = file.Close() // read only, or without a name
	}
}

// Add adds an open file as it was dropped, which Close closes. A name that is not part of a drop, or
// of a part that is there already, is an error.
func (p *Parts) Add(name string, file *os.File) error {
	p.opened = append(p.opened, file)
	part, _, err := p.part(name)
	if err != nil {
		return err
	}
	*part = Part{Name: name, File: file}
	p.dropped = append(p.dropped, *part)
	return nil
}

// AsDropped returns the file of that name, nil if there is none.
func (p *Parts) AsDropped(name string) *os.File {
	for _, part := range p.dropped {
		if part.Name == name {
			return part.File
		}
	}
	return nil
}

// OpenFiles opens the files of one drop by their paths with open, in any order, for `campaignd check`.
// A name that is not part of a drop is an error.
func OpenFiles(paths []string, open func(path string) (*os.File, error)) (*Parts, error) {
	p := &Parts{}
	for _, path := range paths {
		base := filepath.Base(path)
		_, name, err := p.part(base) // before it is opened
		if err != nil {
			p.Close()
			return nil, err
		}
		if p.Name != "" && p.Name != name {
			p.Close()
			return nil, fmt.Errorf("%q and %q are two drops: check one at a time", p.Name, name)
		}
		p.Name = name
		file, err := open(path)
		if err == nil {
			err = p.Add(base, file)
		}
		if err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// openFile opens a regular file that the configuration names. It may be a link.
func openFile(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	if !stat.Mode().IsRegular() { // opening a FIFO would block
		return nil, fmt.Errorf("open file: %q %w", path, safeio.ErrNotRegular)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return file, nil
}

// part returns the part that a file name stands for, and the NAME of its drop.
func (p *Parts) part(base string) (*Part, string, error) {
	n := watch.ParseName(base)
	var part *Part
	switch n.Kind {
	case watch.KindCSV:
		part = &p.CSV
	case watch.KindLayout:
		part = &p.Layout
	case watch.KindSidecar:
		part = &p.Sidecar
	case watch.KindBadName:
		return nil, "", fmt.Errorf("%q can't be used: %s", base, n.Why)
	case watch.KindForeign, watch.KindIgnored, watch.KindTemporary, watch.KindReserved, watch.KindControl:
		return nil, "", fmt.Errorf("%q is not part of a drop: a drop is NAME.csv (or .csv.gz, .zip, .xlsx), NAME.layout.json and NAME.schedule.json", base)
	}
	if part.File != nil {
		return nil, "", fmt.Errorf("%q and %q are the same part of a drop: name only the files of one drop", part.Name, base)
	}
	return part, n.Base, nil
}

// SpillFile makes a temporary file without a name in dir, for a check of many rows. It disappears
// when it is closed or the process ends.
func SpillFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".campaignd-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("make temporary file: %w", err), f.Close())
	}
	return f, nil
}
