package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"campaignd/internal/display"
)

// maxDirectory bounds the bytes that are read to open a zip: its directory, in memory a multiple of
// that. It has room for some 10,000 files.
const maxDirectory = 1 << 20

// errDirectory is returned when the directory of a zip is larger than maxDirectory.
var errDirectory = errors.New("the zip has too many files")

// directory is the ReaderAt of a zip, bounded while the directory is read.
type directory struct {
	r    io.ReaderAt
	left int64
}

// ReadAt implements io.ReaderAt.
func (d *directory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, zip.ErrFormat // the directory lies about where a file is
	}
	if d.left != math.MaxInt64 {
		if d.left -= int64(len(p)); d.left < 0 {
			return 0, errDirectory
		}
	}
	return d.r.ReadAt(p, off)
}

// ReadZip reads the directory of a zip of size bytes. file is its name, for messages.
func ReadZip(file string, r io.ReaderAt, size int64) (*zip.Reader, error) {
	head := make([]byte, 8)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head = head[:n]
	switch {
	case n < 4:
		return nil, cutOff(file, "the file has %s: the upload may have been cut off", display.Amount(n, "byte"))
	case bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0")):
		return nil, refuse("archive-other", file, "is an Office document of the old format (.xls), or one with a password: save it as .xlsx without a password")
	case !bytes.HasPrefix(head, []byte("PK\x03\x04")) && !bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return nil, refuse("archive-other", file, "is neither a zip archive nor an .xlsx, although its name says so: give it the name that its content has")
	}
	d := &directory{r, maxDirectory}
	z, err := zip.NewReader(d, size)
	switch {
	case errors.Is(err, errDirectory):
		return nil, refuse("archive-bomb", file, "has a directory of more than %s: a drop has at most three files", display.Amount(maxDirectory, "byte"))
	case errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, cutOff(file, "the zip has no directory at its end: the upload may have been cut off")
	case err != nil:
		return nil, err
	}
	d.left = math.MaxInt64
	return z, nil
}

// Drop holds the files of a drop in a zip. CSV is never nil.
type Drop struct {
	CSV, Layout, Sidecar *zip.File
	Sheet                bool // CSV is an .xlsx
}

// ReadDrop finds the files of one drop in a zip (docs/contract.md 2): one CSV or .xlsx, at most one
// layout and one sidecar, in no folder.
func ReadDrop(file string, z *zip.Reader) (Drop, error) {
	var d Drop
	for _, f := range z.File {
		if ignored(f.Name) {
			continue
		}
		if err := usable(file, f); err != nil {
			return Drop{}, err
		}
		part, what := &d.CSV, "CSVs or spreadsheets"
		switch name := strings.ToLower(f.Name); {
		case strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".csv"), ".xlsx"), "suppress"):
			return Drop{}, refuse("archive-content", file, "has %q, which has the name of a list of opt-outs: upload that as NAME.suppress.csv, not packed", f.Name)
		case is(name, "layout.json"):
			part, what = &d.Layout, "layouts"
		case is(name, "schedule.json"):
			part, what = &d.Sidecar, "schedules"
		case is(name, "csv"):
		case is(name, "xlsx"):
			d.Sheet = true
		default:
			return Drop{}, refuse("archive-content", file, "has %q, which is no CSV, .xlsx, layout.json or schedule.json: pack only the files of one drop", f.Name)
		}
		if *part != nil {
			return Drop{}, refuse("archive-content", file, "has several %s (%q and %q): make one zip for each drop", what, (*part).Name, f.Name)
		}
		*part = f
	}
	if d.CSV == nil {
		return Drop{}, refuse("archive-content", file, "has no CSV and no .xlsx")
	}
	return d, nil
}

// is reports whether a file name in lower case is ending, or ends in it after a dot.
func is(name, ending string) bool { return name == ending || strings.HasSuffix(name, "."+ending) }

// ignored reports whether a file is what a Mac adds to a zip.
func ignored(name string) bool {
	return strings.HasPrefix(name, "__MACOSX/") || path.Base(name) == ".DS_Store"
}

// usable returns a *Refused for a file of a zip that no drop has.
func usable(file string, f *zip.File) error {
	name := strings.ToLower(f.Name)
	switch {
	case leadsOut(f.Name):
		return refuse("archive-path", file, "has %q, a name that leads out of the archive: pack the files without folders", f.Name)
	case f.Flags&1 != 0:
		return refuse("archive-encrypted", file, "is encrypted: pack it without a password")
	case strings.ContainsAny(f.Name, `/\`):
		return refuse("archive-folder", file, "has %q, which is or is in a folder: pack the files themselves, without a folder", f.Name)
	case !f.Mode().IsRegular():
		return refuse("archive-link", file, "has %q, which is a link and no file: pack the file itself", f.Name)
	}
	for _, ending := range []string{"zip", "gz", "tgz", "tar", "7z", "rar", "bz2", "xz", "zst"} {
		if is(name, ending) {
			return refuse("archive-nested", file, "has %q, an archive in the archive: pack the CSV itself", f.Name)
		}
	}
	return nil
}

// leadsOut reports whether a name is absolute or has a part "..".
func leadsOut(name string) bool {
	slashed := strings.ReplaceAll(name, `\`, "/")
	for _, part := range strings.Split(slashed, "/") {
		if part == ".." {
			return true
		}
	}
	return strings.HasPrefix(slashed, "/") || len(slashed) > 1 && slashed[1] == ':'
}

// NameIn returns the name by which messages know a file of an archive.
func NameIn(file string, f *zip.File) string { return fmt.Sprintf("%s/%s", file, f.Name) }
