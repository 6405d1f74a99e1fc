package main

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

const (
	// subscriberDigits is the least length of a group in a prefix pattern that is the subscriber's
	// number; shorter groups are codes of carriers.
	subscriberDigits = 5
	// longestPrefix excludes prefixes with the code of a carrier, which nobody writes in a list of numbers.
	longestPrefix = 2
)

// A nationalForm is a way in which a region writes its numbers: strip in front of the rest of the
// number, which follows prepend in the international form.
type nationalForm struct{ strip, prepend string }

// nationalForms returns the forms of a region besides the bare national number: with its national prefix, and
// without the area code where the region has only one.
func nationalForms(m *phonenumbers.PhoneMetadata) ([]nationalForm, error) {
	expr := m.GetNationalPrefixForParsing()
	if expr == "" {
		return nil, nil
	}
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("national prefix of %s: %w", m.GetId(), err)
	}
	area, _ := strings.CutSuffix(m.GetNationalPrefixTransformRule(), "$1")
	var forms []nationalForm
	for _, h := range heads(re) {
		switch {
		case h.number && h.text == "" && area != "":
			forms = append(forms, nationalForm{prepend: area})
		case h.text != "" && len(h.text) <= longestPrefix && h.text != "00":
			// Any other beginning could be that of an international number.
			if h.text[0] == '0' || len(h.text) == 1 || strings.HasPrefix(h.text, m.GetNationalPrefix()) && m.GetNationalPrefix() != "" {
				forms = append(forms, nationalForm{strip: h.text})
			}
		}
	}
	slices.SortFunc(forms, func(a, b nationalForm) int { return strings.Compare(a.strip, b.strip) })
	return slices.Compact(forms), nil
}

// A head is a text that a prefix pattern matches; number reports that the subscriber's number follows.
type head struct {
	text   string
	number bool
}

// heads returns the texts that re matches, each up to the subscriber's number.
func heads(re *syntax.Regexp) (all []head) {
	switch re.Op {
	case syntax.OpCapture:
		if length(re) >= subscriberDigits {
			return []head{{number: true}}
		}
		return heads(re.Sub[0])
	case syntax.OpLiteral:
		return []head{{text: string(re.Rune)}}
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				all = append(all, head{text: string(r)})
			}
		}
		return all
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			all = append(all, heads(sub)...)
		}
		return all
	case syntax.OpQuest:
		return append(heads(re.Sub[0]), head{})
	case syntax.OpConcat:
		all = []head{{}}
		for _, sub := range re.Sub {
			all = product(all, heads(sub))
		}
		return all
	case syntax.OpEmptyMatch, syntax.OpEndText, syntax.OpEndLine:
		return []head{{}}
	}
	panic("a national prefix has an operator that isn't expected: " + re.Op.String())
}

func product(first, second []head) (all []head) {
	for _, a := range first {
		if a.number {
			all = append(all, a)
			continue
		}
		for _, b := range second {
			all = append(all, head{a.text + b.text, b.number})
		}
	}
	return all
}

// length returns the least number of digits that re matches.
func length(re *syntax.Regexp) int {
	n := 0
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass:
		return 1
	case syntax.OpCapture:
		return length(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			n += length(sub)
		}
	case syntax.OpRepeat:
		return re.Min * length(re.Sub[0])
	case syntax.OpAlternate:
		n = length(re.Sub[0])
		for _, sub := range re.Sub {
			n = min(n, length(sub))
		}
	}
	return n
}
