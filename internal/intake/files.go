package intake

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"campaignd/internal/safeio"
)

// Part is one open file of a drop. File is nil if there is none.
type Part struct {
	Name string // as dropped
	File *os.File
}

// Parts holds the files of one drop.
type Parts struct {
	Name                 string // base name of the drop
	CSV, Layout, Sidecar Part
}

// Close closes the open files.
func (p *Parts) Close() {
	for _, part := range []Part{p.CSV, p.Layout, p.Sidecar} {
		if part.File != nil {
			_ = part.File.Close() // read only
		}
	}
}

// OpenFiles opens the files of one drop by their paths, in any order, for `campaignd check`. A
// name that is no part of a drop is an error.
func OpenFiles(paths []string) (*Parts, error) {
	p := &Parts{}
	for _, path := range paths {
		base := filepath.Base(path)
		part, name, err := p.part(base)
		if err != nil {
			p.Close()
			return nil, err
		}
		if p.Name != "" && p.Name != name {
			p.Close()
			return nil, fmt.Errorf("%q and %q are two drops: check one at a time", p.Name, name)
		}
		p.Name = name
		file, err := openPlain(path)
		if err != nil {
			p.Close()
			return nil, err
		}
		*part = Part{Name: base, File: file}
	}
	return p, nil
}

// openPlain opens a regular file. A person may name it by a link.
func openPlain(path string) (*os.File, error) {
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

func (p *Parts) part(base string) (*Part, string, error) {
	lower := strings.ToLower(base)
	for _, kind := range []struct {
		ending string
		part   *Part
	}{{".layout.json", &p.Layout}, {".schedule.json", &p.Sidecar}, {".csv", &p.CSV}} {
		if name := strings.TrimSuffix(lower, kind.ending); name != lower && name != "" {
			if kind.part.File != nil {
				return nil, "", fmt.Errorf("%q: there are two files that end in %s: name only the files of one drop", base, kind.ending)
			}
			return kind.part, base[:len(name)], nil
		}
	}
	return nil, "", fmt.Errorf("%q is no part of a drop: a drop is NAME.csv, NAME.layout.json and NAME.schedule.json", base)
}
