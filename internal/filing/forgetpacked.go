package filing

import (
	"archive/zip"
	"bufio"
	"compress/gzip"
	"io"
	"math"
	"os"

	"campaignd/internal/plan/archive"
)

// inside reports whether an archive or a spreadsheet has the contact. The store doesn't know the rows of a drop that
// was refused before they were read. What can't be unpacked ends the search.
func (f *Forgetter) inside(file *os.File, name string) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	budget := archive.NewBudget(name, info.Size(), math.MaxInt64, "")
	if z, err := zip.NewReader(file, info.Size()); err == nil {
		for _, part := range z.File {
			r, err := archive.Open(part)
			if err != nil {
				continue
			}
			has := f.within(budget.Reader(r))
			_ = r.Close() // read only
			if has {
				return true
			}
		}
		return false
	}
	z, err := gzip.NewReader(io.NewSectionReader(file, 0, info.Size()))
	return err == nil && f.within(budget.Reader(z))
}

// within reports whether a text, which may be XML, has the contact.
func (f *Forgetter) within(r io.Reader) bool {
	has, _ := f.copy(io.Discard, bufio.NewReaderSize(tagLines{r}, 64<<10)) // what was read counts
	return has
}

// tagLines ends the line at each end of an XML tag, since a sheet may be a single line.
type tagLines struct{ r io.Reader }

func (t tagLines) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	for i, c := range p[:n] {
		if c == '<' || c == '>' {
			p[i] = '\n'
		}
	}
	return n, err
}
