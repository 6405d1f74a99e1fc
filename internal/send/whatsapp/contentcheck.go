package whatsapp

import (
	"bytes"
	"fmt"
)

// The levels of a rendered template message at which its strings stand:
// 0 the content, 1 "template", 2 its members, 3 a component's, 4 a parameter's.
const maxLevel = 64

// walker goes through a rendered template and checks its strings. It knows the
// compact JSON that rendering makes and stops at anything else.
type walker struct {
	b   []byte
	i   int
	err error

	component []byte // its type
	button    []byte // its index
	number    int    // of the parameter in its component, from 1
	list      list   // what the list at hand holds

	body   int  // characters of the body's texts together
	others bool // there are components besides the body
}

type list uint8

const (
	outside    list = iota
	components      // within a component
	parameters      // within a parameter
	free            // within an action, which is Meta's own
)

// value reads the value that stands at w.i, whose key is key. It returns false
// if it can't be read or is wrong; then err says why.
func (w *walker) value(level int, key []byte) bool {
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

func (w *walker) str() ([]byte, bool) {
	w.i++
	end := stringEnd(w.b[w.i:])
	if end < 0 {
		return nil, false
	}
	raw := w.b[w.i : w.i+end]
	w.i += end + 1
	return raw, true
}

// next reads one of the two bytes that may follow a member: a comma (true) or
// the end.
func (w *walker) next(end byte) (more, ok bool) {
	if w.i >= len(w.b) {
		return false, false
	}
	b := w.b[w.i]
	w.i++
	return b == ',', b == ',' || b == end
}

func (w *walker) object(level int, key []byte) bool {
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

func (w *walker) array(level int, key []byte) bool {
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
func (w *walker) text(level int, key, raw []byte) bool {
	switch w.list {
	case outside:
		switch {
		case level == 2 && string(key) == "name" && !templateName(raw):
			w.err = fmt.Errorf("the template's name comes to something that is no name: it has lower-case letters, digits and underscores")
		case level == 3 && string(key) == "code" && !languageCode(raw):
			w.err = fmt.Errorf("the template's language comes to something that is none: write one such as es or en_US")
		}
	case components:
		switch string(key) {
		case "type":
			w.component = raw
			w.others = w.others || string(raw) != kindBody
		case "index":
			w.button = raw
		}
	case parameters:
		w.parameter(key, raw)
	}
	return w.err == nil
}

func (w *walker) parameter(key, raw []byte) {
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
		}
	case "link":
		if !webLink(raw) {
			err = fmt.Errorf("the link comes to something that is no address: it begins with https://")
		}
	default:
		err = checkFilled(measure(raw))
	}
	if err == nil {
		return
	}
	place := string(w.component)
	if len(w.button) > 0 {
		place += " " + string(w.button)
	}
	w.err = fmt.Errorf("template %s, parameter %d: %w", place, w.number, err)
}

// length refuses a body that is too long by its values alone. Meta would answer 132005, and hold up
// the whole sending for one row.
func (w *walker) length() error {
	most := maxBody
	if w.others {
		most = maxBodyOfMore
	}
	if w.body > most {
		return fmt.Errorf("template body: its values come to %d characters; with the template's own text it may have %d", w.body, most)
	}
	return nil
}
