package whatsapp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
	"campaignd/internal/source"
)

// The most characters of a text.
const (
	maxBody       = 4096 // free, or of a template's body that stands alone
	maxBodyOfMore = 1024 // of the body of a template with a header or buttons
	maxHeader     = 60
)

// message is the part of Meta's request that says what is sent.
type message struct {
	Type     string        `json:"type"`
	Text     *textPart     `json:"text,omitempty"`
	Template *templatePart `json:"template,omitempty"`
}

type textPart struct {
	Body       string `json:"body"`
	PreviewURL bool   `json:"preview_url"`
}

type templatePart struct {
	Name       string      `json:"name"`
	Language   language    `json:"language"`
	Components []component `json:"components,omitempty"`
}

type language struct {
	Policy string `json:"policy"`
	Code   string `json:"code"`
}

type component struct {
	Type       string           `json:"type"`
	SubType    string           `json:"sub_type,omitempty"`
	Index      string           `json:"index,omitempty"`
	Parameters []map[string]any `json:"parameters,omitempty"`
}

// former turns an item into Meta's form and collects what is wrong with it.
type former struct{ problems []string }

// form is item in Meta's form, ready to be compiled. Variables stay as they are.
func form(item json.RawMessage) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(item))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read message content: %w", err)
	}
	f := &former{}
	m := f.message(v)
	if len(f.problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(f.problems, "; "))
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("write message content: %w", err)
	}
	return out.Bytes(), nil
}

func (f *former) bad(path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	f.problems = append(f.problems, text)
}

func (f *former) message(v any) *message {
	o := f.object("", v, "body", "text", "template", "type")
	if o == nil {
		return nil
	}
	m := &message{}
	given := 0
	if b, ok := o["body"]; ok {
		given++
		m.Type, m.Text = "text", &textPart{Body: f.body(b)}
	}
	if t, ok := o["text"]; ok {
		given++
		m.Type, m.Text = "text", f.text(t)
	}
	if t, ok := o["template"]; ok {
		given++
		m.Type, m.Template = "template", f.template(t)
	}
	switch t, ok := o["type"]; {
	case len(f.problems) > 0:
	case given == 0:
		f.bad("", `holds nothing to send: write "body", "text" or "template"`)
	case given > 1:
		f.bad("", `holds more than one of "body", "text" and "template": one item is one message`)
	case ok && t.v != m.Type:
		f.bad(t.path, "found %s where %q belongs", show(t.v), m.Type)
	}
	return m
}

func (f *former) body(at field) string {
	s, ok := f.text1(at)
	if !ok || variable(s) {
		return s
	}
	if n := utf8.RuneCountInString(s); n == 0 || n > maxBody {
		f.bad(at.path, "has %d characters; a text has 1 to %d", n, maxBody)
	}
	return s
}

func (f *former) text(at field) *textPart {
	if _, isString := at.v.(string); isString {
		f.bad(at.path, `found a string where {"body": …} belongs; or write "body" in place of "text"`)
		return nil
	}
	o := f.object(at.path, at.v, "body", "preview_url")
	if o == nil {
		return nil
	}
	t := &textPart{}
	if b, ok := f.need(o, at.path, "body"); ok {
		t.Body = f.body(b)
	}
	if p, ok := o["preview_url"]; ok {
		if t.PreviewURL, ok = p.v.(bool); !ok {
			f.bad(p.path, "found %s where true or false belongs", show(p.v))
		}
	}
	return t
}

// field is a value and the path to it as it was written.
type field struct {
	path string
	v    any
}

// object reads an object whose keys are known, in either spelling; nil if it is none.
func (f *former) object(path string, v any, known ...string) map[string]field {
	o, ok := v.(map[string]any)
	if !ok {
		f.bad(path, "found %s where an object belongs", show(v))
		return nil
	}
	out := map[string]field{}
	for _, key := range sorted(o) {
		at := join(path, key)
		name := snake(key)
		if !slices.Contains(known, name) {
			f.bad(at, "is no key that belongs here%s", hint(name, known))
			continue
		}
		if first, twice := out[name]; twice {
			f.bad(at, "is there twice: it is %s in the other spelling", first.path)
			continue
		}
		out[name] = field{at, o[key]}
	}
	return out
}

// need is a required member.
func (f *former) need(o map[string]field, path, name string) (field, bool) {
	at, ok := o[name]
	if !ok {
		f.bad(join(path, name), "is missing")
	}
	return at, ok
}

// list reads an array.
func (f *former) list(at field) []any {
	l, ok := at.v.([]any)
	if !ok {
		f.bad(at.path, "found %s where a list belongs", show(at.v))
	}
	return l
}

// text1 reads a string.
func (f *former) text1(at field) (string, bool) {
	s, ok := at.v.(string)
	if !ok {
		f.bad(at.path, "found %s where a string belongs", show(at.v))
	}
	return s, ok
}

// word reads one of a set of words, in either spelling.
func (f *former) word(at field, known []string) (string, bool) {
	s, ok := f.text1(at)
	if !ok {
		return "", false
	}
	name := snake(s)
	if !slices.Contains(known, name) {
		f.bad(at.path, "found %q; it can be: %s%s", clip(s, 60), strings.Join(known, ", "), hint(name, known))
		return "", false
	}
	return name, true
}

func hint(name string, known []string) string {
	if near := source.Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func sorted(o map[string]any) []string {
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// show names a value without its text, which may be long.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return "the number " + clip(v.String(), 30)
	case string:
		return strconv.Quote(clip(v, 60))
	case []any:
		return "a list"
	}
	return "an object"
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// variable reports whether s has a {{variable}}, so that its value is known for a row only.
func variable(s string) bool {
	segments, _, err := campaign.Split(s)
	return err != nil || slices.ContainsFunc(segments, func(s campaign.Segment) bool { return s.Variable != "" })
}

// snake is a name in Meta's spelling: quickReply, QUICK_REPLY and quick_reply are one.
func snake(s string) string {
	if len(s) > 64 {
		return s
	}
	var b strings.Builder
	var before rune
	for _, r := range s {
		lower := before >= 'a' && before <= 'z'
		if lower && (unicode.IsUpper(r) || r >= '0' && r <= '9') {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return b.String()
}
