package whatsapp

import (
	"bytes"
	"fmt"
)

// The nesting levels of a rendered template message: 0 the content, 1 "template", 2 its
// members, 3 a component's, 4 a parameter's.
const maxLevel = 64

// contentChecker checks the strings of a rendered template. It parses the compact JSON that
// rendering makes and fails on anything else.
type contentChecker struct {
	b   []byte
	i   int
	err error

	component []byte // its type
	button    []byte // its index
	number    int    // of the parameter in its component, from 1
	list      scope  // the innermost list
	media     string // of a message that is one file, its kind

	body      int  // total characters of the body's texts
	hasOthers bool // there are components besides the body
}

type scope uint8

const (
	outside    scope = iota
	components       // in a component
	parameters       // in a parameter
	free             // in an action, which isn't checked
)

// value checks the value at w.i, whose key is key. It returns false if it can't be parsed or
// isn't valid; err has the reason for the latter.
func (w *contentChecker) value(level int, key []byte) bool {
	if w.i >= len(w.b) || level > maxLevel {
		return false
	}
	switch w.b[w.i] {
	case '{':
		return w.object(level, key)
	case '[':
		return w.array(level, key)
	case '"':
		raw, ok := w.str()
		return ok && w.text(level, key, raw)
	}
	start := w.i
	for w.i < len(w.b) && !bytes.ContainsRune([]byte(",]}"), rune(w.b[w.i])) {
		w.i++
	}
	return w.i > start
}

func (w *contentChecker) str() ([]byte, bool) {
	w.i++
	end := stringEnd(w.b[w.i:])
	if end < 0 {
		return nil, false
	}
	raw := w.b[w.i : w.i+end]
	w.i += end + 1
	return raw, true
}

// next reads the byte after a member: a comma (more) or the end.
func (w *contentChecker) next(end byte) (more, ok bool) {
	if w.i >= len(w.b) {
		return false, false
	}
	b := w.b[w.i]
	w.i++
	return b == ',', b == ',' || b == end
}

func (w *contentChecker) object(level int, key []byte) bool {
	before := w.list
	if w.list == parameters && string(key) == "action" {
		w.list = free
	}
	defer func() { w.list = before }()
	w.i++
	if w.i < len(w.b) && w.b[w.i] == '}' {
		w.i++
		return true
	}
	for {
		if w.i >= len(w.b) || w.b[w.i] != '"' {
			return false
		}
		name, ok := w.str()
		if !ok || w.i >= len(w.b) || w.b[w.i] != ':' {
			return false
		}
		w.i++
		if !w.value(level+1, name) {
			return false
		}
		if more, ok := w.next('}'); !ok || !more {
			return ok
		}
	}
}

func (w *contentChecker) array(level int, key []byte) bool {
	before := w.list
	defer func() { w.list = before }()
	switch {
	case w.list == outside && string(key) == "components":
		w.list = components
	case w.list == components && string(key) == "parameters":
		w.list = parameters
	}
	w.i++
	if w.i < len(w.b) && w.b[w.i] == ']' {
		w.i++
		return true
	}
	for n := 1; ; n++ {
		switch w.list {
		case components:
			w.component, w.button = nil, nil
		case parameters:
			w.number = n
		}
		if !w.value(level+1, nil) {
			return false
		}
		if more, ok := w.next(']'); !ok || !more {
			return ok
		}
	}
}

// text checks one string.
func (w *contentChecker) text(level int, key, raw []byte) bool {
	switch w.list {
	case outside:
		switch {
		case level == 2 && string(key) == "name" && !isTemplateName(raw):
			w.err = fmt.Errorf("the template's name is not valid: it must have only lower-case letters, digits and underscores")
		case level == 3 && string(key) == "code" && !isLanguageCode(raw):
			w.err = fmt.Errorf("the template's language is not valid: write one such as es or en_US")
		}
	case components:
		switch string(key) {
		case "type":
			w.component = raw
			w.hasOthers = w.hasOthers || string(raw) != kindBody
		case "index":
			w.button = raw
		}
	case parameters:
		w.parameter(key, raw)
	}
	return w.err == nil
}

func (w *contentChecker) parameter(key, raw []byte) {
	var err error
	switch string(key) {
	case "type", "parameter_name":
		return
	case "text":
		t := measure(raw)
		err = checkParameter(t)
		switch {
		case string(w.component) == kindBody:
			w.body += t.chars
		case err == nil && string(w.component) == kindHeader && t.chars > maxHeader:
			err = fmt.Errorf("has %d characters; a header's text may have %d", t.chars, maxHeader)
		case err == nil && string(w.component) == kindButton && t.chars > maxURLText:
			err = fmt.Errorf("has %d characters; a button's text may have %d", t.chars, maxURLText)
		}
	case "link":
		if !isWebLink(raw) {
			err = fmt.Errorf("the link is not a valid address: it must begin with https://")
		}
	default:
		if err = checkMember(string(key), measure(raw)); err != nil && !isValueKey(key) {
			err = fmt.Errorf("its %s %w", key, err)
		}
	}
	if err == nil {
		return
	}
	if w.media != "" {
		w.err = fmt.Errorf("%s: %w", w.media, err)
		return
	}
	place := string(w.component)
	if len(w.button) > 0 {
		place += " " + string(w.button)
	}
	w.err = fmt.Errorf("template %s, parameter %d: %w", place, w.number, err)
}

// isValueKey reports whether key is the parameter's value and not a member of it.
func isValueKey(key []byte) bool { return string(key) == "payload" || string(key) == "coupon_code" }

// length returns an error for a body whose values alone are too long. Meta would answer 132005, which
// holds the whole sending for one row.
func (w *contentChecker) length() error {
	most := maxBody
	if w.hasOthers {
		most = maxBodyOfMore
	}
	if w.body > most {
		return fmt.Errorf("template body: its values have %d characters; with the template's own text it may have %d", w.body, most)
	}
	return nil
}
