package whatsapp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/source"
)

// The longest texts, in characters.
const (
	maxBody       = 4096 // of free text, or the body of a template without header and buttons
	maxBodyOfMore = 1024 // of the body of a template with a header or buttons
	maxHeader     = 60
)

// message is the content in Meta's request.
type message struct {
	Type     string        `json:"type"`
	Text     *textPart     `json:"text,omitempty"`
	Template *templatePart `json:"template,omitempty"`

	// Of a message that is one file, the object that Type names.
	Image    map[string]any `json:"image,omitempty"`
	Video    map[string]any `json:"video,omitempty"`
	Document map[string]any `json:"document,omitempty"`
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

// normalizer turns an item into Meta's form and collects its problems.
type normalizer struct{ problems []string }

// normalize returns item in Meta's form, ready to be compiled. Variables stay unchanged.
func normalize(item json.RawMessage) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(item))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read message content: %w", err)
	}
	f := &normalizer{}
	m := f.message(v)
	if len(f.problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(f.problems, "; "))
	}
	return encodeMessage(m)
}

func encodeMessage(m *message) (json.RawMessage, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("write message content: %w", err)
	}
	return out.Bytes(), nil
}

func (f *normalizer) bad(path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	f.problems = append(f.problems, text)
}

func (f *normalizer) message(v any) *message {
	o := f.object("", v, "body", "text", "template", kindImage, kindVideo, kindDocument, "type")
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
	for _, kind := range mediaKinds() {
		if at, ok := o[kind]; ok {
			given++
			m.Type = kind
			*m.media(kind), _ = f.parts(at, kind, "caption").(map[string]any)
		}
	}
	switch t, ok := o["type"]; {
	case len(f.problems) > 0:
	case given == 0:
		f.bad("", `contains nothing to send: write "body", "text", "template", "image", "video" or "document"`)
	case given > 1:
		f.bad("", `contains more than one message: an item is one of "body", "text", "template", "image", "video" and "document"`)
	case ok && t.v != m.Type:
		f.bad(t.path, "found %s where %q belongs", describeValue(t.v), m.Type)
	}
	return m
}

func (f *normalizer) body(at field) string {
	s, ok := f.str(at)
	if !ok || hasVariable(s) {
		return s
	}
	if n := utf8.RuneCountInString(s); n == 0 || n > maxBody {
		f.bad(at.path, "has %d characters; a text has 1 to %d", n, maxBody)
	}
	return s
}

func (f *normalizer) text(at field) *textPart {
	if _, isString := at.v.(string); isString {
		f.bad(at.path, `found a string where {"body": …} belongs; or write "body" in place of "text"`)
		return nil
	}
	o := f.object(at.path, at.v, "body", "preview_url")
	if o == nil {
		return nil
	}
	t := &textPart{}
	if b, ok := f.required(o, at.path, "body"); ok {
		t.Body = f.body(b)
	}
	if p, ok := o["preview_url"]; ok {
		if t.PreviewURL, ok = p.v.(bool); !ok {
			f.bad(p.path, "found %s where true or false belongs", describeValue(p.v))
		}
	}
	return t
}

// field is a value and its path in the original item.
type field struct {
	path string
	v    any
}

// object reads an object with the known keys, in either spelling. It returns nil for anything else.
func (f *normalizer) object(path string, v any, known ...string) map[string]field {
	o, ok := v.(map[string]any)
	if !ok {
		f.bad(path, "found %s where an object belongs", describeValue(v))
		return nil
	}
	out := map[string]field{}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		at := source.Join(path, key)
		name := snake(key)
		if !slices.Contains(known, name) {
			f.bad(at, "is not a valid key here%s", source.DidYouMean(name, known))
			continue
		}
		if first, twice := out[name]; twice {
			f.bad(at, "is a duplicate of %s in the other spelling", first.path)
			continue
		}
		out[name] = field{at, o[key]}
	}
	return out
}

// required returns a required member.
func (f *normalizer) required(o map[string]field, path, name string) (field, bool) {
	at, ok := o[name]
	if !ok {
		f.bad(source.Join(path, name), "is missing")
	}
	return at, ok
}

// list reads an array.
func (f *normalizer) list(at field) []any {
	l, ok := at.v.([]any)
	if !ok {
		f.bad(at.path, "found %s where a list belongs", describeValue(at.v))
	}
	return l
}

// str reads a string.
func (f *normalizer) str(at field) (string, bool) {
	s, ok := at.v.(string)
	if !ok {
		f.bad(at.path, "found %s where a string belongs", describeValue(at.v))
	}
	return s, ok
}

// enum reads one of a set of words, in either spelling.
func (f *normalizer) enum(at field, known []string) (string, bool) {
	s, ok := f.str(at)
	if !ok {
		return "", false
	}
	name := snake(s)
	if !slices.Contains(known, name) {
		f.bad(at.path, "found %q; it can be: %s%s", clip(s, 60), strings.Join(known, ", "), source.DidYouMean(name, known))
		return "", false
	}
	return name, true
}

// describeValue describes a value in a few words.
func describeValue(v any) string {
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

func clip(s string, most int) string { return display.Clip(s, most) }

// hasVariable reports whether s contains a {{variable}}: its value is known only for a row.
func hasVariable(s string) bool {
	segments, _, err := campaign.Split(s)
	return err != nil || slices.ContainsFunc(segments, func(s campaign.Segment) bool { return s.Variable != "" })
}

// snake returns a name in Meta's spelling: quickReply, QUICK_REPLY and quick_reply are the same.
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
