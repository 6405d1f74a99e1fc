package whatsapp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"campaignd/internal/campaign"
	"campaignd/internal/source"
)

// Meta's component types.
const (
	kindHeader = "header"
	kindBody   = "body"
	kindButton = "button"
)

func componentTypes() []string { return []string{kindHeader, kindBody, kindButton} }

func subTypes() []string {
	return []string{"quick_reply", "url", "copy_code", "catalog", "flow", "mpm", "order_details", "voice_call"}
}

// parameterTypes returns the types that a parameter may have in a component.
func parameterTypes(kind, subType string) []string {
	switch {
	case kind == kindHeader:
		return []string{"text", "currency", "date_time", kindImage, kindDocument, kindVideo, "location"}
	case kind == kindBody:
		return []string{"text", "currency", "date_time"}
	case subType == "quick_reply":
		return []string{"payload"}
	case subType == "url":
		return []string{"text"}
	case subType == "copy_code":
		return []string{"coupon_code", "text"}
	}
	return []string{"action", "payload", "text"}
}

// maxButtons is the most buttons of a template: their index is one digit.
const maxButtons = 10

func (f *normalizer) template(at field) *templatePart {
	o := f.object(at.path, at.v, "name", "language", "components")
	if o == nil {
		return nil
	}
	t := &templatePart{Language: language{Policy: "deterministic"}}
	if n, ok := f.required(o, at.path, "name"); ok {
		if t.Name, ok = f.str(n); ok && !hasVariable(t.Name) && !isTemplateName([]byte(t.Name)) {
			f.bad(n.path, "found %s; a template's name has lower-case letters, digits and underscores", describeValue(t.Name))
		}
	}
	if l, ok := f.required(o, at.path, "language"); ok {
		t.Language.Code = f.language(l)
	}
	if c, ok := o["components"]; ok {
		t.Components = f.components(c)
	}
	return t
}

func (f *normalizer) language(at field) string {
	if o, isObject := at.v.(map[string]any); isObject {
		members := f.object(at.path, o, "code", "policy")
		if p, ok := members["policy"]; ok && p.v != "deterministic" {
			f.bad(p.path, `found %s; it can only be "deterministic", and may be left out`, describeValue(p.v))
		}
		code, ok := f.required(members, at.path, "code")
		if !ok {
			return ""
		}
		at = code
	}
	code, ok := f.str(at)
	if ok && !hasVariable(code) && !isLanguageCode([]byte(code)) {
		advice := ""
		if other := strings.ReplaceAll(code, "-", "_"); isLanguageCode([]byte(other)) {
			advice = fmt.Sprintf("; did you mean %q?", other)
		}
		f.bad(at.path, `found %s where the template's language belongs, such as "es" or "en_US"%s`, describeValue(code), advice)
	}
	return code
}

func (f *normalizer) components(at field) []component {
	var out []component
	seen := map[string]string{}
	for i, v := range f.list(at) {
		path := source.Join(at.path, strconv.Itoa(i))
		c, ok := f.component(path, v)
		if !ok {
			continue
		}
		what := c.Type + c.Index
		if first, twice := seen[what]; twice {
			f.bad(path, "is a second %s; the first is %s", strings.TrimSpace(c.Type+" "+c.Index), first)
		}
		seen[what] = path
		if len(c.Parameters) > 0 || c.Type == kindButton { // a header or body without parameters is left out
			out = append(out, c)
		}
	}
	return out
}

func (f *normalizer) component(path string, v any) (c component, ok bool) {
	before := len(f.problems)
	o := f.object(path, v, "type", "sub_type", "index", "parameters")
	if o == nil {
		return c, false
	}
	kind, ok := f.required(o, path, "type")
	if !ok {
		return c, false
	}
	if c.Type, ok = f.enum(kind, componentTypes()); !ok {
		return c, false
	}
	if c.Type == kindButton {
		if s, ok := f.required(o, path, "sub_type"); ok {
			c.SubType, _ = f.enum(s, subTypes())
		}
		if n, ok := f.required(o, path, "index"); ok {
			c.Index = f.index(n)
		}
	} else {
		for _, name := range []string{"sub_type", "index"} {
			if extra, there := o[name]; there {
				f.bad(extra.path, "belongs to a button, not to a %s", c.Type)
			}
		}
	}
	if len(f.problems) > before {
		return c, false
	}
	if p, ok := o["parameters"]; ok {
		c.Parameters = f.parameters(p, c)
	}
	return c, len(f.problems) == before
}

// index reads a button's index, "0" to "9", as a number or a string.
func (f *normalizer) index(at field) string {
	var text string
	switch v := at.v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	if n, err := strconv.Atoi(text); err != nil || n < 0 || n >= maxButtons || strconv.Itoa(n) != text {
		f.bad(at.path, "found %s where the button's index belongs, 0 to %d", describeValue(at.v), maxButtons-1)
		return ""
	}
	return text
}

func (f *normalizer) parameters(at field, c component) []map[string]any {
	var out []map[string]any
	names := map[any]bool{}
	named := 0
	for i, v := range f.list(at) {
		path := source.Join(at.path, strconv.Itoa(i))
		p := f.parameter(path, v, c)
		if p == nil {
			continue
		}
		if name, has := p["parameter_name"]; has {
			named++
			if names[name] {
				f.bad(source.Join(path, "parameter_name"), "%v is there twice", describeValue(name))
			}
			names[name] = true
		}
		out = append(out, p)
	}
	if named > 0 && named < len(out) {
		f.bad(at.path, "a parameter_name is in %d of %d parameters: name all of them or none", named, len(out))
	}
	if c.Type != kindBody && len(out) > 1 {
		f.bad(at.path, "found %d parameters; a %s takes one", len(out), c.Type)
	}
	return out
}

func (f *normalizer) parameter(path string, v any, c component) map[string]any {
	raw, ok := v.(map[string]any)
	if !ok {
		f.bad(path, "found %s where an object such as {\"type\": \"text\", \"text\": …} belongs", describeValue(v))
		return nil
	}
	types := parameterTypes(c.Type, c.SubType)
	var kind string
	for key := range raw {
		if snake(key) == "type" {
			if kind, ok = f.enum(field{source.Join(path, key), raw[key]}, types); !ok {
				return nil
			}
		}
	}
	if kind == "" {
		f.bad(source.Join(path, "type"), "is missing; it can be: %s", strings.Join(types, ", "))
		return nil
	}
	o := f.object(path, v, "type", kind, "parameter_name")
	at, ok := f.required(o, path, kind)
	if !ok {
		return nil
	}
	out := map[string]any{"type": kind}
	if n, has := o["parameter_name"]; has {
		if name, ok := f.str(n); ok && (hasVariable(name) || !isTemplateName([]byte(name))) {
			f.bad(n.path, "found %s; a parameter's name has lower-case letters, digits and underscores", describeValue(name))
		} else {
			out["parameter_name"] = name
		}
		if c.Type == kindButton {
			f.bad(n.path, "belongs to a header or body, not to a button")
		}
	}
	out[kind] = f.value(at, kind)
	if text, ok := out[kind].(string); ok && kind == "text" && !hasVariable(text) {
		most := map[string]int{kindHeader: maxHeader, kindButton: maxURLText, kindBody: maxBody}[c.Type]
		if n := utf8.RuneCountInString(text); n > most {
			f.bad(at.path, "has %d characters; a %s's text may have %d", n, c.Type, most)
		}
	}
	return out
}

// value reads the value of a parameter of that type.
func (f *normalizer) value(at field, kind string) any {
	switch kind {
	case "text", "payload", "coupon_code":
		s, ok := f.str(at)
		if !ok || hasVariable(s) {
			return s
		}
		t := measure(campaign.AppendJSON(nil, []byte(s)))
		err := checkMember(kind, t)
		if kind == "text" {
			err = checkParameter(t)
		}
		if err != nil {
			f.bad(at.path, "%v", err)
		}
		return s
	case "action":
		if _, ok := at.v.(map[string]any); !ok {
			f.bad(at.path, "found %s where an object belongs", describeValue(at.v))
		}
		return at.v // for newer kinds of buttons; passed on unchanged
	}
	return f.parts(at, kind)
}

// shape describes the members of a parameter's object.
type shape struct {
	need, may []string
	numbers   []string // those members that are numbers
	media     bool     // exactly one of link, id and file is required
}

func shapeOf(kind string) shape {
	switch kind {
	case "currency":
		return shape{need: []string{"fallback_value", "code", "amount_1000"}, numbers: []string{"amount_1000"}}
	case "date_time":
		parts := []string{"timestamp", "day_of_week", "year", "month", "day_of_month", "hour", "minute"}
		return shape{need: []string{"fallback_value"}, may: append(parts, "calendar"), numbers: parts}
	case "location":
		return shape{need: []string{"latitude", "longitude"}, may: []string{"name", "address"}}
	case kindDocument:
		return shape{may: []string{"link", "id", keyFile, "filename"}, media: true}
	}
	return shape{may: []string{"link", "id", keyFile}, media: true}
}

// parts reads the object of a parameter of that type, or of a whole message, which may have more members.
func (f *normalizer) parts(at field, kind string, more ...string) any {
	s := shapeOf(kind)
	o := f.object(at.path, at.v, slices.Concat(s.need, s.may, more)...)
	if o == nil {
		return nil
	}
	for _, name := range s.need {
		f.required(o, at.path, name)
	}
	if s.media {
		given := 0
		for _, name := range []string{"link", "id", keyFile} {
			if _, ok := o[name]; ok {
				given++
			}
		}
		if given != 1 {
			f.bad(at.path, `needs one of "file" with a file's name in campaigns_dir, "link" with an address and "id" of an uploaded file`)
		}
	}
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		member := o[name]
		out[name] = member.v
		if slices.Contains(s.numbers, name) {
			n, ok := member.v.(json.Number)
			whole, err := strconv.ParseInt(n.String(), 10, 64)
			switch {
			case !ok || err != nil || whole < 0 || n.String() != strconv.FormatInt(whole, 10):
				f.bad(member.path, "found %s where a whole number belongs", describeValue(member.v))
			case whole > maxAmount && name == "amount_1000":
				f.bad(member.path, "found %s; it may be up to %d, in thousandths", describeValue(member.v), maxAmount)
			}
			continue
		}
		if n, ok := member.v.(json.Number); ok && kind == "location" {
			member.v, out[name] = n.String(), n.String()
		}
		text, ok := f.str(member)
		if ok && name == keyFile && hasVariable(text) {
			f.bad(member.path, `can't contain a variable: a file is the same for all recipients; use "link" for different ones`)
		}
		if !ok || hasVariable(text) {
			continue
		}
		if err := checkMember(name, measure(campaign.AppendJSON(nil, []byte(text)))); err != nil {
			f.bad(member.path, "%v", err)
		} else if name == "link" && !isWebLink([]byte(text)) {
			f.bad(member.path, "found %s where an address that begins with https:// belongs", describeValue(text))
		}
	}
	return out
}
