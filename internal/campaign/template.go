package campaign

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Segment is a piece of a text with variables: either Text or the name of a Variable.
type Segment struct {
	Text     string
	Variable string
}

// ErrUnclosed is returned when a {{ has no }} after it, ErrEmptyVariable when
// nothing is between them.
var (
	ErrUnclosed      = errors.New(`"{{" without "}}" after it`)
	ErrEmptyVariable = errors.New(`no name between "{{" and "}}"`)
)

// Split splits a text with {{variables}} into segments (docs/contract.md 3). Spaces inside
// the braces are removed. With an error, offset is its place in text in bytes.
func Split(text string) (segments []Segment, offset int, err error) {
	for at := 0; ; {
		open := strings.Index(text[at:], "{{")
		if open < 0 {
			if at < len(text) {
				segments = append(segments, Segment{Text: text[at:]})
			}
			return segments, 0, nil
		}
		open += at
		end := strings.Index(text[open+2:], "}}")
		if end < 0 {
			return nil, open, ErrUnclosed
		}
		name := strings.TrimSpace(text[open+2 : open+2+end])
		if name == "" {
			return nil, open, ErrEmptyVariable
		}
		if strings.Contains(name, "{{") {
			return nil, open, ErrUnclosed
		}
		if open > at {
			segments = append(segments, Segment{Text: text[at:open]})
		}
		segments = append(segments, Segment{Variable: name})
		at = open + 2 + end + 2
	}
}

// VariableName reports whether name is letters, digits and underscores (docs/contract.md 6).
func VariableName(name string) bool {
	for _, r := range name {
		if !(r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return false
		}
	}
	return name != ""
}

// Escape appends value to dst in a form that is safe for the text around it,
// e.g. HTML. What it appends is put into a JSON string afterwards.
type Escape func(dst, value []byte) []byte

// Template is a compiled message content. Substitution works on
// the parsed strings of the item, in one pass, never on JSON text (docs/contract.md 3).
// It is safe for use by many goroutines.
type Template struct {
	parts   []part
	vars    []string // names in order of first use
	literal []byte   // all literals
	uses    int      // of the variable that is used most
	escapes bool     // a value is escaped for the text around it
}

type part struct {
	literal []byte
	value   int // index into Rows.Values; -1 for a literal
	escape  Escape
}

// Compile compiles a JSON item against the names of Rows.Values. escape, which
// may be nil, returns the escaping for variables in the string at a path of keys
// and indexes ("html", "template.components.0.text"), nil for none. It returns an error
// for JSON that is no object, a broken variable, or a variable that is not in names.
func Compile(item json.RawMessage, names []string, escape func(path string) Escape) (*Template, error) {
	c := compiler{names: names, escape: escape, t: &Template{}}
	dec := json.NewDecoder(bytes.NewReader(item))
	dec.UseNumber()
	tok, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("read message content: %w", err)
	}
	if tok != json.Delim('{') {
		return nil, errors.New("message content is not a JSON object")
	}
	if err := c.value(dec, tok); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("message content has something after its object")
	}
	c.flush()
	c.measure()
	return c.t, nil
}

// measure sets what MaxLen and Shortest need.
func (c *compiler) measure() {
	uses := make([]int, len(c.names))
	for i := range c.t.parts {
		p := &c.t.parts[i]
		c.t.literal = append(c.t.literal, p.literal...)
		c.t.escapes = c.t.escapes || p.escape != nil
		if p.value >= 0 {
			uses[p.value]++
			c.t.uses = max(c.t.uses, uses[p.value])
		}
	}
}

// Variables returns the names the template uses, in order of first use.
func (t *Template) Variables() []string { return t.vars }

// Append renders row i of rows to dst: one JSON object, no line end. It
// allocates nothing beyond the growth of dst, except for values with an Escape.
func (t *Template) Append(dst []byte, rows *Rows, i int) []byte {
	for k := range t.parts {
		p := &t.parts[k]
		if p.value < 0 {
			dst = append(dst, p.literal...)
			continue
		}
		v := rows.Values[p.value].At(i)
		if p.escape != nil {
			v = p.escape(nil, v)
		}
		dst = AppendJSON(dst, v)
	}
	return dst
}

// mostEscaped is the most bytes that AppendJSON makes of one.
const mostEscaped = len(`\u0000`)

// MaxLen returns an upper bound of the length of a message whose values have size bytes together.
func (t *Template) MaxLen(size int) int {
	if t.escapes {
		return math.MaxInt
	}
	return len(t.literal) + mostEscaped*t.uses*size
}

// Shortest returns the message whose values are all empty. It must not be changed.
func (t *Template) Shortest() []byte { return t.literal }

type compiler struct {
	names  []string
	escape func(string) Escape
	t      *Template
	lit    []byte
	path   []string // keys and indexes of the current value
}

// maxDepth bounds the nesting of an item, since the compiler recurses. Real items
// stay far below it.
const maxDepth = 64

// at returns the path of the current value. It is built only when needed: an item may
// have long keys above many values.
func (c *compiler) at() string { return strings.Join(c.path, ".") }

func (c *compiler) flush() {
	if len(c.lit) > 0 {
		c.t.parts = append(c.t.parts, part{literal: c.lit, value: -1})
		c.lit = nil
	}
}

func (c *compiler) value(dec *json.Decoder, tok json.Token) error {
	switch v := tok.(type) {
	case json.Delim:
		return c.group(dec, v)
	case string:
		c.lit = append(c.lit, '"')
		if err := c.text(v); err != nil {
			return err
		}
		c.lit = append(c.lit, '"')
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("read message content at %q: %w", c.at(), err)
		}
		c.lit = append(c.lit, text...)
	}
	return nil
}

func (c *compiler) group(dec *json.Decoder, open json.Delim) error {
	if len(c.path) == maxDepth {
		return fmt.Errorf("message content is nested more than %d levels deep", maxDepth)
	}
	here := len(c.path)
	c.path = append(c.path, "")
	c.lit = append(c.lit, byte(open))
	for n := 0; dec.More(); n++ {
		if n > 0 {
			c.lit = append(c.lit, ',')
		}
		tok, err := dec.Token()
		if key, ok := tok.(string); ok && open == '{' {
			c.lit = append(AppendJSON(append(c.lit, '"'), []byte(key)), '"', ':')
			c.path[here] = key
			tok, err = dec.Token()
		} else {
			c.path[here] = strconv.Itoa(n)
		}
		if err != nil {
			return fmt.Errorf("read message content: %w", err)
		}
		if err := c.value(dec, tok); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	if err != nil {
		return fmt.Errorf("read message content: %w", err)
	}
	c.path = c.path[:here]
	c.lit = append(c.lit, byte(end.(json.Delim)))
	return nil
}

func (c *compiler) text(s string) error {
	segments, _, err := Split(s)
	if err != nil {
		return fmt.Errorf("%s: %w", c.at(), err)
	}
	for _, seg := range segments {
		if seg.Variable == "" {
			c.lit = AppendJSON(c.lit, []byte(seg.Text))
			continue
		}
		i := slices.Index(c.names, seg.Variable)
		if i < 0 {
			return fmt.Errorf("%s: variable %q has no value", c.at(), seg.Variable)
		}
		c.flush()
		p := part{value: i}
		if c.escape != nil {
			p.escape = c.escape(c.at())
		}
		c.t.parts = append(c.t.parts, p)
		if !slices.Contains(c.t.vars, seg.Variable) {
			c.t.vars = append(c.t.vars, seg.Variable)
		}
	}
	return nil
}

// isPlainJSON reports whether v is ASCII of which no byte is escaped in a JSON string.
func isPlainJSON(v []byte) bool {
	n := len(v)
	switch {
	case n >= 8: // the last word overlaps the one before
		special := escapedBytes(binary.LittleEndian.Uint64(v[n-8:]))
		for ; len(v) > 8; v = v[8:] {
			special |= escapedBytes(binary.LittleEndian.Uint64(v))
		}
		return special == 0
	case n >= 4:
		return escapedBytes(uint64(binary.LittleEndian.Uint32(v))|uint64(binary.LittleEndian.Uint32(v[n-4:]))<<32) == 0
	}
	for _, b := range v {
		if b < ' ' || b == '"' || b == '\\' || b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// escapedBytes is not 0 if one of the eight bytes of w is a control character, a quote, a backslash or no ASCII.
func escapedBytes(w uint64) uint64 {
	const ones, highBits = 0x0101010101010101, 0x8080808080808080
	quote, backslash := w^ones*'"', w^ones*'\\'
	return ((w-ones*' ')&^w | (quote-ones)&^quote | (backslash-ones)&^backslash | w) & highBits
}

const hexDigits = "0123456789abcdef"

// AppendJSON appends v as the content of a JSON string (RFC 8259, 7), without the
// quotes. Bytes that are not UTF-8 become U+FFFD.
func AppendJSON(dst, v []byte) []byte {
	if isPlainJSON(v) { // as nearly all values are
		return append(dst, v...)
	}
	start := 0
	for i := 0; i < len(v); {
		b := v[i]
		if b >= ' ' && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(v[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, v[start:i]...)
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\r':
			dst = append(dst, '\\', 'r')
		case b == '\t':
			dst = append(dst, '\\', 't')
		case b < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		default:
			dst = append(dst, "\ufffd"...)
		}
		i++
		start = i
	}
	return append(dst, v[start:]...)
}
