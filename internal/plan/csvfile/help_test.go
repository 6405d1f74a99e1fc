package csvfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// row is a record as a test wants it.
type row struct {
	Line   uint32
	Cells  []string
	Fault  Fault
	Detail int
	Raw    string
}

func inspect(t testing.TB, data []byte) Info {
	t.Helper()
	info, err := Inspect(context.Background(), bytes.NewReader(data), int64(len(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// open makes a Reader over data whose batches have block bytes.
func open(t testing.TB, data []byte, block int, wanted ...string) (*Reader, string) {
	t.Helper()
	r, problems, err := newReader(bytes.NewReader(data), inspect(t, data), Options{File: "x.csv", Wanted: wanted}, block)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range problems.List {
		all = append(all, p.String())
	}
	return r, strings.Join(all, "\n")
}

// all reads the rest of r.
func all(t testing.TB, r *Reader) (rows []row, broken string) {
	t.Helper()
	var b Batch
	for {
		err := r.ReadBatch(&b)
		var bad *Broken
		switch {
		case err == io.EOF:
			return rows, ""
		case errors.As(err, &bad):
			return rows, bad.Error()
		case err != nil:
			t.Fatal(err)
		}
		if b.Len() == 0 {
			t.Fatal("an empty batch without an error")
		}
		for i := range b.Len() {
			one := row{Line: b.Line(i), Raw: string(b.Raw(i))}
			one.Fault, one.Detail = b.Fault(i)
			if one.Fault == FaultNone {
				for c := range r.Columns() {
					one.Cells = append(one.Cells, string(b.Cell(i, c)))
				}
			}
			rows = append(rows, one)
		}
	}
}

// text is rows on a line each, for tables.
func text(rows []row) string {
	var b strings.Builder
	for _, r := range rows {
		if r.Fault == FaultNone {
			fmt.Fprintf(&b, "%d %q\n", r.Line, r.Cells)
		} else {
			fmt.Fprintf(&b, "%d fault %d/%d %q\n", r.Line, r.Fault, r.Detail, r.Raw)
		}
	}
	return b.String()
}

// encodings are the ways in which a text can be written down.
var encodings = map[string]struct {
	name string
	enc  encoding.Encoding
	bom  string
}{
	"utf-8":         {UTF8, encoding.Nop, ""},
	"utf-8 bom":     {UTF8, encoding.Nop, bomUTF8},
	"utf-16le":      {UTF16LE, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), bomUTF16LE},
	"utf-16be":      {UTF16BE, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), bomUTF16BE},
	"windows-1252":  {Windows1252, charmap.Windows1252, ""},
	"utf-8 two bom": {UTF8, encoding.Nop, bomUTF8 + bomUTF8},
}

func encode(t testing.TB, name, s string) []byte {
	t.Helper()
	e := encodings[name]
	data, err := e.enc.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(e.bom), data...)
}
