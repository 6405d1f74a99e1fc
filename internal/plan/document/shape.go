package document

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"campaignd/internal/display"
	"campaignd/internal/source"
)

// found names the kind of n, never its value: that may be contact data.
func (n *node) found() string {
	switch n.kind {
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't':
		return "true"
	case 'f':
		return "false"
	case 'n':
		return "null"
	}
	return "text that is not UTF-8"
}

// get returns the member called name, or nil.
func (n *node) get(name string) *node {
	for i := range n.members {
		if n.members[i].name == name {
			return &n.members[i].value
		}
	}
	return nil
}

// shape checks a tree against the form of its document. Its methods report faults and
// return the usable part.
type shape struct {
	*findingList
	data []byte
}

// raw returns the JSON text of n.
func (s shape) raw(n *node) []byte { return s.data[n.start:n.end] }

// wrong reports that n is not of the wanted kind.
func (s shape) wrong(n *node, field, want string) {
	switch {
	case n.kind == 0: // not UTF-8, and reported as such
	case n.kind == 'n' && !n.required:
		s.add(int(n.start), field, "found null, want %s; leave the key out if it has no value", want)
	default:
		s.add(int(n.start), field, "found %s, want %s", n.found(), want)
	}
}

// keys reports the members of n that are not in known. skip, which may be nil, handles
// the members for which it returns true.
func (s shape) keys(n *node, path string, known []string, skip func(m *member) bool) {
	for i := range n.members {
		m := &n.members[i]
		if slices.Contains(known, m.name) || skip != nil && skip(m) {
			continue
		}
		m.near = source.Nearest(m.name, known)
		if s.Full() {
			s.Add("key-unknown", 0, "", "") // only counted
			continue
		}
		s.Add("key-unknown", int(m.at), join(path, m.name), "unknown key %s%s (known here: %s)", quote(m.name), didYouMean(m.name, known), list(known))
	}
}

// required returns the member called name and reports its absence, unless keys has reported it misspelt.
func (s shape) required(n *node, path, name, want string) *node {
	v := n.get(name)
	if v == nil && n.misspelt(name) {
		return nil
	}
	if v == nil {
		s.Add("key-missing", int(n.start), join(path, name), "the key %q is missing, want %s", name, want)
		return nil
	}
	v.required = true
	return v
}

// str returns the string n, or false if it is none.
func (s shape) str(n *node, field, want string) (string, bool) {
	if n.kind != '"' {
		if n.kind == '0' || n.kind == 't' || n.kind == 'f' {
			want += ", in double quotes"
		}
		s.wrong(n, field, want)
		return "", false
	}
	return s.decoded(n), true
}

// decoded returns the text of the string n.
func (s shape) decoded(n *node) string {
	text, err := jsontext.AppendUnquote(nil, s.raw(n))
	if err != nil { // impossible: the reader has checked it
		return ""
	}
	return string(text)
}

// integer returns the whole number n of at least least, or false.
func (s shape) integer(n *node, field string, least int64) (int64, bool) {
	want := fmt.Sprintf("a whole number from %d", least)
	if n.kind != '0' {
		s.wrong(n, field, want+", without quotes")
		return 0, false
	}
	v, err := strconv.ParseInt(string(s.raw(n)), 10, 64)
	if errors.Is(err, strconv.ErrRange) && v > 0 {
		s.add(int(n.start), field, "found %s, which is too large: the largest number is %d", shorten(s.raw(n)), v)
		return 0, false
	}
	if err != nil || v < least {
		s.add(int(n.start), field, "found %s, want %s (no fraction, no exponent)", shorten(s.raw(n)), want)
		return 0, false
	}
	return v, true
}

// boolean returns the value of n, false if it is no boolean.
func (s shape) boolean(n *node, field string) bool {
	if n.kind != 't' && n.kind != 'f' {
		s.wrong(n, field, "true or false, without quotes")
	}
	return n.kind == 't'
}

// shorten shortens the JSON text of a number for a message.
func shorten(raw []byte) string { return display.Clip(string(raw), maxQuoted) }

// join returns the path of name within path. It is clipped: a hostile key
// would otherwise be copied once for each value below it.
func join(path, name string) string {
	switch {
	case path == "":
		return clip(name)
	case name == "":
		return path
	}
	return clip(path + "." + name)
}
