package document

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
)

// Segment is a piece of a Text: either Text or a Variable.
type Segment struct {
	Text     string
	Variable *Variable
}

// Variable is a {{column}} or {{column|filter}} of a layout. If Name is a column, it is
// that column; else the variable is Base with Filters.
type Variable struct {
	Name         string // the whole text between the braces, in NFC
	Base         string // the part before the first |, in NFC
	Filters      []Filter
	Line, Column int // of its "{{" in the file

	fault                  string // of the filters, "" if there is none
	faultLine, faultColumn int
}

// Resolve returns the column that the variable stands for among columns, which must be
// in NFC, and its filters; -1 if there is none or its filters are wrong.
func (v *Variable) Resolve(columns []string) (column int, filters []Filter) {
	base := -1
	for i, c := range columns {
		if c == v.Name {
			return i, nil
		}
		if c == v.Base {
			base = i
		}
	}
	if v.fault != "" {
		return -1, nil
	}
	return base, v.Filters
}

// Text is a string of a layout in parsed form.
type Text struct {
	Segments     []Segment
	Line, Column int // of its value in the file; 0 if absent

	suspects []suspect
}

// Constant returns the text if it has no variable.
func (t Text) Constant() (string, bool) {
	var b strings.Builder
	for _, s := range t.Segments {
		if s.Variable != nil {
			return "", false
		}
		b.WriteString(s.Text)
	}
	return b.String(), true
}

// Given reports whether the text is present, was understood and is not blank.
func (t Text) Given() bool {
	text, constant := t.Constant()
	return !constant || strings.TrimSpace(text) != ""
}

// Variables returns the columns that the text may use, in order, each once, in NFC. Of a
// variable with filters these are its name and its base.
func (t Text) Variables() []string {
	var names []string
	seen := make(map[string]bool, len(t.Segments))
	for _, s := range t.Segments {
		if s.Variable == nil {
			continue
		}
		for _, name := range []string{s.Variable.Name, s.Variable.Base} {
			if !seen[name] && name != "" {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// split splits the string n of a campaign into segments and reports faults. It calls each
// with the offset of every variable in the file.
func (s shape) split(n *node, field string, each func(offset int)) []campaign.Segment {
	text := s.decoded(n)
	lit := literal{raw: s.raw(n), at: 1}
	segments, offset, err := campaign.Split(text)
	if err != nil {
		s.splitFaults(n, field, text, offset, err, func(text string) (int, error) {
			_, offset, err := campaign.Split(text)
			return offset, err
		})
		return nil
	}
	at := 0
	for _, seg := range segments {
		if seg.Variable == "" {
			at += len(seg.Text)
			continue
		}
		each(int(n.start) + lit.offset(at))
		at += 2 + strings.Index(text[at+2:], "}}") + 2
	}
	return segments
}

// splitFaults reports every broken variable in text, the first of which is at offset.
func (s shape) splitFaults(n *node, field, text string, offset int, err error, next func(text string) (int, error)) {
	lit := literal{raw: s.raw(n), at: 1}
	for from := 0; err != nil && !s.Full(); {
		from += offset
		s.Add("variable-broken", int(n.start)+lit.offset(from), field, "%v; a variable is written {{name}}", err)
		from += len("{{") // there may be more faults
		if !strings.Contains(text[from:], "}}") {
			break // the same mistake to the end
		}
		offset, err = next(text[from:])
	}
}

// literal converts offsets in a string's decoded text to offsets in its literal, in
// ascending order only.
type literal struct {
	raw     []byte
	at      int // in raw
	decoded int // at, in the decoded text
}

func (l *literal) offset(decoded int) int {
	for l.decoded < decoded && l.at < len(l.raw) {
		switch {
		case l.raw[l.at] != '\\':
			l.at, l.decoded = l.at+1, l.decoded+1
		case l.raw[l.at+1] != 'u':
			l.at, l.decoded = l.at+2, l.decoded+1
		default:
			r, err := strconv.ParseUint(string(l.raw[l.at+2:l.at+6]), 16, 16)
			if err != nil { // impossible: the literal is valid
				return l.at
			}
			size, width := utf8.RuneLen(rune(r)), 6
			if size < 0 { // the first of a surrogate pair
				size, width = 4, 12
			}
			l.at, l.decoded = l.at+width, l.decoded+size
		}
	}
	return l.at
}

// nfc returns a name in the form in which columns and variables are compared.
func nfc(name string) string { return norm.NFC.String(name) }
