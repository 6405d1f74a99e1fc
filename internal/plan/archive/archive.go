// Package archive unpacks what partners upload packed (docs/contract.md 2, one file is enough): a
// gzip file, and a zip with the files of one drop.
//
// It is pure: it reads from readers and writes to writers, and never makes a file of a name that
// is in an archive. Archives are hostile. A Budget bounds what is unpacked while it is read, by
// size and by ratio; the directory of a zip is bounded before it is parsed; encrypted files, links,
// folders, names that lead elsewhere and archives in archives are refused.
//
// A fault of the file is a *Refused. Other errors are those of the reader, the writer or ctx.
package archive

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"archive/zip"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// MaxRatio is how many times its packed size a file may unpack to. Deflate reaches 1,032; a CSV of
// equal rows reaches about 100.
const MaxRatio = 200

// anyRatio is how many bytes may be unpacked at any ratio: a small file of blanks does no harm.
const anyRatio = 16 << 20

// Refused is returned for a file that can't be unpacked.
type Refused struct {
	Problem campaign.Problem
	CutOff  bool // the file has no end: its upload may still be under way
}

// Error returns the problem as one line.
func (r *Refused) Error() string { return r.Problem.String() }

// refuse returns a *Refused.
func refuse(code, file, format string, args ...any) *Refused {
	return &Refused{Problem: campaign.Problem{Code: code, File: file, Message: fmt.Sprintf(format, args...)}}
}

// cutOff returns a *Refused for a file that has no end.
func cutOff(file, format string, args ...any) *Refused {
	r := refuse("archive-cut-off", file, format, args...)
	r.CutOff = true
	return r
}

// Budget bounds the bytes that are unpacked from one file. It is for one goroutine.
type Budget struct {
	file        string // for messages
	ratio, most int64  // bytes that may be unpacked, by ratio and by limit
	used        int64
	limit       string // names the limit in messages
}

// NewBudget returns the budget of a file that has packed bytes and may unpack to most bytes. limit
// says what sets this limit, such as "max_file_size".
func NewBudget(file string, packed, most int64, limit string) *Budget {
	return &Budget{file: file, ratio: max(anyRatio, packed*MaxRatio), most: most, limit: limit}
}

// Reader returns r, which unpacks a part of the file. It returns a *Refused once the budget is
// spent.
func (b *Budget) Reader(r io.Reader) io.Reader { return &budgetReader{b, r} }

type budgetReader struct {
	b *Budget
	r io.Reader
}

func (r *budgetReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.b.used += int64(n)
	switch b := r.b; {
	case b.used > b.most:
		return 0, refuse("archive-large", b.file, "unpacks to more than %s, which is what %s allows: split it into several drops", display.Amount(b.most, "byte"), b.limit)
	case b.used > b.ratio:
		return 0, refuse("archive-bomb", b.file, "is a bomb: it unpacks to more than %s times its size", display.Number(MaxRatio))
	}
	return n, err
}

// contextReader ends reading when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Gunzip unpacks the gzip file r into w, within budget.
func Gunzip(ctx context.Context, file string, r io.Reader, w io.Writer, budget *Budget) error {
	z, err := gzip.NewReader(contextReader{ctx, r})
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return cutOff(file, "the gzip file ends within its first bytes: the upload may have been cut off")
	case errors.Is(err, gzip.ErrHeader):
		return refuse("archive-other", file, "is not a gzip file, although its name ends in .gz: pack it with gzip, or give it the name that its content has")
	case err != nil:
		return err
	}
	_, err = io.Copy(w, budget.Reader(z))
	return explain(file, "gzip", err)
}

// explain turns an error of unpacking into a *Refused if it is about the file.
func explain(file, kind string, err error) error {
	var refused *Refused
	var corrupt flate.CorruptInputError
	switch {
	case err == nil, errors.As(err, &refused):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) && kind == "gzip":
		return cutOff(file, "the gzip file has no end: the upload may have been cut off")
	case errors.Is(err, gzip.ErrHeader):
		return refuse("archive-broken", file, "something follows after the end of the gzip file: pack it again")
	case errors.Is(err, zip.ErrAlgorithm):
		return refuse("archive-method", file, "is packed by a method other than deflate: pack it again with the usual settings")
	case errors.As(err, &corrupt), errors.Is(err, gzip.ErrChecksum), errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // EOF: a file of the zip begins beyond its end
		return refuse("archive-broken", file, "the %s file is damaged: pack it and upload it again", kind)
	}
	return err
}

// Copy unpacks one file of a zip into w, within budget. file is its name, for messages.
func Copy(ctx context.Context, file string, f *zip.File, w io.Writer, budget *Budget) error {
	r, err := Open(f)
	if err != nil {
		return explain(file, "zip", err)
	}
	defer r.Close() // read only
	_, err = io.Copy(w, budget.Reader(contextReader{ctx, r}))
	return explain(file, "zip", err)
}

// Open opens one file of a zip for reading.
func Open(f *zip.File) (io.ReadCloser, error) {
	if f.Flags&1 != 0 {
		return nil, refuse("archive-encrypted", f.Name, "is encrypted: pack it without a password")
	}
	return f.Open()
}

// Explain returns a *Refused for an error of reading a file of a zip that is about the file.
func Explain(file string, err error) error { return explain(file, "zip", err) }
