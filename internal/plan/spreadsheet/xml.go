package spreadsheet

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"campaignd/internal/plan/archive"
	"campaignd/internal/plan/csvfile"
)

// errLongPart is returned for a piece of XML that is longer than a row may be.
var errLongPart = errors.New("a piece of it has more bytes than a row may have")

// document reads one XML file of a workbook. Names are compared without their namespace, whose
// prefix programs choose freely.
type document struct {
	b     *workbook
	file  io.ReadCloser
	in    *bufio.Reader
	part  int // bytes of the current piece
	d     *xml.Decoder
	depth int
}

// open opens an XML file of the workbook.
func (b *workbook) open(f *zip.File) (*document, error) {
	r, err := archive.Open(f)
	if err != nil {
		return nil, err
	}
	x := &document{b: b, file: r, in: bufio.NewReaderSize(b.budget.Reader(r), 64<<10)}
	x.d = xml.NewDecoder(x)
	return x, nil
}

// openName opens an XML file by its name; nil if there is none.
func (b *workbook) openName(name string) (*document, error) {
	f := b.files[strings.ToLower(name)]
	if f == nil {
		return nil, nil
	}
	return b.open(f)
}

func (x *document) close() { _ = x.file.Close() } // read only

// ReadByte implements io.ByteReader for the decoder, which keeps a whole piece in memory.
func (x *document) ReadByte() (byte, error) {
	if x.part++; x.part > csvfile.MaxRecord {
		return 0, errLongPart
	}
	return x.in.ReadByte()
}

// Read implements io.Reader, which the decoder needs and doesn't use.
func (x *document) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// next returns the next piece, or io.EOF at the end of a complete document.
func (x *document) next() (xml.Token, error) {
	x.part = 0
	t, err := x.d.RawToken()
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, io.EOF) && x.depth > 0:
		return nil, x.b.broken("a part of it ends too early")
	case errors.As(err, &syntax):
		return nil, x.b.broken("a part of it is no XML (%s)", syntax.Msg)
	case errors.Is(err, errLongPart):
		return nil, x.b.broken("%v", err)
	case err != nil && strings.HasPrefix(err.Error(), "xml: "): // an encoding other than UTF-8
		return nil, x.b.broken("%s", strings.TrimPrefix(err.Error(), "xml: "))
	case err != nil:
		return nil, err
	}
	switch t.(type) {
	case xml.StartElement:
		x.depth++
	case xml.EndElement:
		if x.depth--; x.depth < 0 {
			return nil, x.b.broken("a part of it is no XML")
		}
	case xml.Directive:
		return nil, x.b.broken("it has a document type, which no workbook has")
	}
	return t, nil
}

// each calls do with every element whose name is one of names, at any depth. do may read on to the
// element's end.
func (x *document) each(do func(e xml.StartElement) error) error {
	for {
		t, err := x.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := t.(xml.StartElement); ok {
			if err := do(e); err != nil {
				return err
			}
		}
	}
}

// children calls do with every element within the current one, at any depth, until its end. do may
// read on to that element's end.
func (x *document) children(do func(e xml.StartElement) error, text func([]byte)) error {
	for end := x.depth - 1; ; {
		t, err := x.next()
		if errors.Is(err, io.EOF) {
			return x.b.broken("a part of it ends too early")
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if do != nil {
				if err := do(t); err != nil {
					return err
				}
			}
		case xml.CharData:
			if text != nil {
				text(t)
			}
		case xml.EndElement:
			if x.depth == end {
				return nil
			}
		}
	}
}

// skip reads on to the end of the current element.
func (x *document) skip() error { return x.children(nil, nil) }

// text appends the text of the current element to dst, up to its end.
func (x *document) text(dst []byte) ([]byte, error) {
	err := x.children(nil, func(t []byte) { dst = append(dst, t...) })
	if len(dst) > csvfile.MaxRecord {
		return dst, x.b.broken("%v", errLongPart)
	}
	return dst, err
}

// attr returns an attribute, "" if the element lacks it.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// isTrue reports whether an attribute says so.
func isTrue(value string) bool { return value == "1" || value == "true" || value == "on" }
