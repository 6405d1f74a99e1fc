package document

import (
	"strings"

	"campaignd/internal/campaign"
)

// piece is a part of a layout's text: a literal, or the text between braces.
type piece struct {
	start    int // offset in the text; of a variable, that of its {{
	inner    int // of a variable: offset of text
	text     string
	variable bool
}

// splitLayout splits a text at its variables. With an error, offset is its place.
func splitLayout(text string) (pieces []piece, offset int, err error) {
	for at := 0; at < len(text); {
		open := strings.Index(text[at:], "{{")
		if open < 0 {
			return append(pieces, piece{start: at, text: text[at:]}), 0, nil
		}
		if open > 0 {
			pieces = append(pieces, piece{start: at, text: text[at : at+open]})
			at += open
		}
		end := closingBraces(text[at:])
		if end < 0 {
			return nil, at, campaign.ErrUnclosed
		}
		between := text[at+len("{{") : at+end]
		inner := strings.TrimSpace(between)
		switch {
		case inner == "":
			return nil, at, campaign.ErrEmptyVariable
		case strings.Contains(inner, "{{") && !strings.Contains(inner, "'"):
			return nil, at, campaign.ErrUnclosed
		}
		pieces = append(pieces, piece{at, at + len("{{") + strings.Index(between, inner), inner, true})
		at += end + len("}}")
	}
	return pieces, 0, nil
}

// suspect is text that looks like a variable in braces of another kind. It is one if its
// name is a column.
type suspect struct {
	found, name  string
	line, column int
}

// maxSuspects bounds the suspects of one text, and maxSuspect the bytes of each.
const (
	maxSuspects = 100
	maxSuspect  = 200
)

// suspects calls found for each name in braces that other programs use for variables.
func suspects(text string, found func(offset int, whole, name string)) {
	forms := []struct{ open, close string }{
		{"${", "}"}, {"{", "}"}, {"[[", "]]"}, {"[", "]"}, {"<<", ">>"}, {"<%=", "%>"}, {"<", ">"}, {"｛｛", "｝｝"}, {"｛", "｝"},
		{"%", "%"}, {"*|", "|*"}, {"((", "))"}, {"«", "»"},
	}
	for i, n := 0, 0; i < len(text) && n < maxSuspects; i++ {
		for _, form := range forms {
			rest, ok := strings.CutPrefix(text[i:], form.open)
			if !ok {
				continue
			}
			end := strings.Index(rest[:min(len(rest), maxSuspect)], form.close)
			if end < 0 {
				continue
			}
			if name := strings.TrimSpace(rest[:end]); name != "" {
				n++
				found(i, text[i:i+len(form.open)+end+len(form.close)], name)
				i += len(form.open) - 1 // another one may be inside
			}
			break
		}
	}
}
