package document

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"campaignd/internal/display"
)

// maxDepth bounds the nesting of a document, since readers of the tree recurse. Real
// documents stay far below it.
const maxDepth = 64

// node is one JSON value: its extent, and the content of objects and arrays. The text
// of a string is decoded on demand, which keeps the tree of a hostile document small.
type node struct {
	kind       jsontext.Kind // as of its first byte; 0 for a string that is not UTF-8
	required   bool          // its key is required: leaving it out is no correction
	start, end int32         // in the data, quotes and braces included
	members    []member      // of an object, repeated names left out
	items      []node        // of an array
}

// member is a name and a value of an object.
type member struct {
	name  string
	at    int32 // of the name's first quote
	value node
	near  string // the known key that this unknown one was probably meant for
}

// misspelt reports whether the object has an unknown key that was probably meant for name.
func (n *node) misspelt(name string) bool {
	return slices.ContainsFunc(n.members, func(m member) bool { return m.near == name })
}

// errStop is returned when reading ends at a problem that is already reported.
var errStop = errors.New("reading stopped")

// reader turns data into a tree and reports its faults.
type reader struct {
	*findingList
	data []byte
	base int // length of a BOM: the decoder's offsets begin after it
	dec  *jsontext.Decoder
	path []string // keys and indexes of the current value, for messages
	text []byte   // scratch
}

// parse reads data as one JSON value. what names the document, e.g. "layout",
// and example shows one. ok is false if the tree is unusable.
func parse(f *findingList, data []byte, what, example string) (root node, ok bool) {
	r := &reader{findingList: f, data: data}
	if bytes.HasPrefix(data, []byte("\ufeff")) {
		r.base = len("\ufeff")
	}
	body := data[r.base:]
	switch {
	case len(data) > MaxSize:
		r.Add("json-broken", 0, "", "the file is larger than 1 MiB, the most a %s may be", what)
		return root, false
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")):
		r.Add("json-broken", 0, "", "the file is UTF-32; save it as UTF-8")
		return root, false
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		r.Add("json-broken", 0, "", "the file is UTF-16; save it as UTF-8")
		return root, false
	case len(bytes.TrimLeft(body, " \t\r\n")) == 0:
		r.Add("json-broken", 0, "", "the file is empty; a %s is a JSON object, e.g. %s", what, example)
		return root, false
	}
	// Repeated names and bad text are allowed here, so that all of them are found.
	r.dec = jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	root, err := r.value()
	if err != nil {
		r.syntax(err)
		return root, false
	}
	if rest := bytes.TrimLeft(data[root.end:], " \t\r\n"); len(rest) > 0 {
		r.Add("json-broken", len(data)-len(rest), "", "something follows after the end of the %s; the file must hold one JSON object and nothing else", what)
	}
	if root.kind != '{' {
		r.Add("json-broken", int(root.start), "", "found %s, want a JSON object, e.g. %s", root.found(), example)
		return root, false
	}
	return root, true
}

// value reads the next value of any kind.
func (r *reader) value() (node, error) {
	switch kind := r.dec.PeekKind(); kind {
	case '{', '[':
		if _, err := r.dec.ReadToken(); err != nil {
			return node{}, err
		}
		n := node{kind: kind, start: int32(r.offset() - 1)}
		if r.dec.StackDepth() > maxDepth {
			r.Add("json-broken", int(n.start), "", "nested more than %d levels deep", maxDepth)
			return n, errStop
		}
		err := r.group(&n)
		n.end = int32(r.offset())
		return n, err
	default:
		raw, err := r.dec.ReadValue()
		if err != nil {
			return node{}, err
		}
		n := node{kind: kind, start: int32(r.offset() - len(raw)), end: int32(r.offset())}
		if kind == '"' && !r.unquote(raw) {
			n.kind = 0
		}
		return n, nil
	}
}

// group reads the content of the array or object n up to its end.
func (r *reader) group(n *node) error {
	var seen map[string]bool
	r.path = append(r.path, "")
	here := len(r.path) - 1
	defer func() { r.path = r.path[:len(r.path)-1] }()
	for {
		if k := r.dec.PeekKind(); k == ']' || k == '}' {
			_, err := r.dec.ReadToken()
			return err
		}
		if n.kind == '[' {
			r.path[here] = strconv.Itoa(len(n.items))
			item, err := r.value()
			if err != nil {
				return err
			}
			n.items = append(n.items, item)
			continue
		}
		raw, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		m := member{at: int32(r.offset() - len(raw))}
		r.path[here] = ""
		good := r.unquote(raw)
		m.name = string(r.text)
		r.path[here] = m.name
		if good && seen[m.name] {
			good = false
			r.Add("key-repeated", int(m.at), r.field(), "the key %s appears a second time; keep one of them", quote(m.name))
		}
		if m.value, err = r.value(); err != nil {
			return err
		}
		if good {
			if seen == nil {
				seen = make(map[string]bool)
			}
			seen[m.name] = true
			n.members = append(n.members, m)
		}
	}
}

// offset returns the number of bytes read of data.
func (r *reader) offset() int { return r.base + int(r.dec.InputOffset()) }

// field returns the path of the current value, "" if it would only be counted.
func (r *reader) field() string {
	if r.Full() {
		return ""
	}
	path := ""
	for _, step := range r.path {
		path = join(path, step)
	}
	return path
}

// unquote decodes the string literal just read into r.text and reports whether it is UTF-8.
func (r *reader) unquote(raw []byte) bool {
	var err error
	if r.text, err = jsontext.AppendUnquote(r.text[:0], raw); err == nil {
		return true
	}
	start := r.offset() - len(raw)
	for i := 0; i < len(raw); {
		c, size := utf8.DecodeRune(raw[i:])
		if c == utf8.RuneError && size == 1 {
			r.Add("json-broken", start+i, r.field(), "the byte 0x%02X is not UTF-8; save the file as UTF-8", raw[i])
			return false
		}
		i += size
	}
	r.Add("json-broken", start, r.field(), `a \u escape here is half of a pair; write the character itself`)
	return false
}

// syntax reports the position and kind of a syntax error.
func (r *reader) syntax(err error) {
	var broken *jsontext.SyntacticError
	switch {
	case errors.Is(err, errStop):
	case errors.As(err, &broken):
		at := min(r.base+int(broken.ByteOffset), len(r.data))
		r.Add("json-broken", at, clip(strings.ReplaceAll(strings.TrimPrefix(string(broken.JSONPointer), "/"), "/", ".")),
			"not valid JSON: %s", r.explain(at, broken.Err))
	default: // io.EOF where a value should be
		r.Add("json-broken", len(r.data), "", "not valid JSON: %v", err)
	}
}

// explain describes the fault at offset at and its correction.
func (r *reader) explain(at int, err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "the file ends in the middle of the document: a closing quote, brace or bracket is missing, or its upload was cut off"
	}
	rest := r.data[at:]
	next, _ := utf8.DecodeRune(rest)
	switch {
	case next == 0:
		return "found a NUL: is it UTF-16? save it as UTF-8"
	case next == ',' && bytes.IndexAny(bytes.TrimLeft(rest[1:], " \t\r\n"), "}]") == 0:
		return "a comma before a closing brace or bracket; remove it"
	case next == '\'':
		return `found '; strings and keys need double quotes (")`
	case next == '“' || next == '”' || next == '„' || next == '«':
		return `found a typographic quote; strings and keys need plain double quotes (")`
	case next == '/' || next == '#':
		return err.Error() + "; JSON has no comments"
	case next == '\n' || next == '\r':
		return `a line ends within a string; is a closing quote missing? (a line break is written \n)`
	case isWord(rest, "true", "false", "null", "none"):
		return err.Error() + "; write true, false and null in lower case"
	case next == '"' && strings.Contains(err.Error(), "expecting ','"):
		return "a comma is missing before this key or value"
	}
	if next >= '0' && next <= '9' && at > 0 && r.data[at-1] == '0' {
		return "a number can't begin with 0"
	}
	return err.Error()
}

// isWord reports whether data begins with one of the words, in any case.
func isWord(data []byte, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return len(data) >= len(w) && strings.EqualFold(string(data[:len(w)]), w) })
}

// clip makes a path of outside keys safe for one line of a report: short, and without
// characters that would end the line or change its direction.
func clip(path string) string { return display.Line(display.Clip(path, 200)) }
