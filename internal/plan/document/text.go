package document

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"campaignd/internal/campaign"
)

// Reference is a variable in a Text with its position.
type Reference struct {
	Name         string // in NFC
	Line, Column int    // of its "{{" in the file
}

// Text is a string of a layout with its {{column}} variables kept parsed.
type Text struct {
	Segments     []campaign.Segment // variables in NFC, as header names are compared (docs/contract.md 4)
	Line, Column int                // of its value in the file; 0 if absent
	References   []Reference        // one for each variable in Segments, in order
}

// Constant returns the text if it has no variable.
func (t Text) Constant() (string, bool) {
	if len(t.References) > 0 {
		return "", false
	}
	var b strings.Builder
	for _, s := range t.Segments {
		b.WriteString(s.Text)
	}
	return b.String(), true
}

// Given reports whether the text is present, was understood and is not blank.
func (t Text) Given() bool {
	text, constant := t.Constant()
	return !constant || strings.TrimSpace(text) != ""
}

// Variables returns the names of the text's variables, in order, each once, in NFC.
func (t Text) Variables() []string {
	var names []string
	seen := make(map[string]bool, len(t.References))
	for _, r := range t.References {
		if !seen[r.Name] {
			seen[r.Name] = true
			names = append(names, r.Name)
		}
	}
	return names
}

// split splits the string n into segments and reports faults. It calls each with the
// index of every variable among the segments and its offset in the file.
func (s shape) split(n *node, field string, each func(segment, offset int)) ([]campaign.Segment, bool) {
	text := s.decoded(n)
	lit := literal{raw: s.raw(n), at: 1}
	segments, offset, err := campaign.Split(text)
	if err != nil {
		for from := 0; err != nil && !s.full(); {
			from += offset
			s.add(int(n.start)+lit.offset(from), field, "%v; a variable is written {{name}}", err)
			from += len("{{") // there may be more faults
			if !strings.Contains(text[from:], "}}") {
				break // the same mistake to the end
			}
			_, offset, err = campaign.Split(text[from:])
		}
		return nil, false
	}
	at := 0
	for i, seg := range segments {
		if seg.Variable == "" {
			at += len(seg.Text)
			continue
		}
		each(i, int(n.start)+lit.offset(at))
		at += 2 + strings.Index(text[at+2:], "}}") + 2
	}
	return segments, true
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
