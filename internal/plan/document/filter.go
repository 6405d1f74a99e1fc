package document

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Filter is one step of {{column|filter:argument}} in a layout (docs/contract.md 3).
type Filter struct {
	Name     string
	Argument string // of default; "" for the others
}

// Filters lists the names of the filters in the order in which they are documented.
func Filters() []string {
	return []string{"default", "trim", "upper", "lower", "title", "first", "digits"}
}

// Apply appends value to dst after all filters, from left to right.
func Apply(filters []Filter, dst, value []byte) []byte {
	for _, f := range filters {
		value = f.apply(value)
	}
	return append(dst, value...)
}

func (f Filter) apply(value []byte) []byte {
	switch f.Name {
	case "default":
		if len(bytes.TrimSpace(value)) == 0 {
			return []byte(f.Argument)
		}
	case "trim":
		return bytes.TrimSpace(value)
	case "upper":
		return bytes.ToUpper(value)
	case "lower":
		return bytes.ToLower(value)
	case "title":
		return title(value)
	case "first":
		if words := bytes.Fields(value); len(words) > 0 {
			return words[0]
		}
		return nil
	case "digits":
		return bytes.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return r
			}
			return -1
		}, value)
	}
	return value
}

// title changes each word to a capital and small letters. An apostrophe doesn't end a
// word; a hyphen does, as in Jean-Pierre.
func title(value []byte) []byte {
	inWord := false
	return bytes.Map(func(r rune) rune {
		first := !inWord
		inWord = unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || inWord && strings.ContainsRune("'’·", r)
		if first {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, value)
}

// filterFault is a fault of a filter, at an offset in the text between the braces.
type filterFault struct {
	offset  int
	message string
}

// parseFilters splits the text between the braces at each |. base is the column's name.
func parseFilters(text string) (base string, filters []Filter, fault *filterFault) {
	parts, at := splitFilters(text), 0
	base = strings.TrimSpace(parts[0])
	if base == "" {
		return "", nil, &filterFault{0, "no column before the |"}
	}
	for i, part := range parts {
		if i > 0 {
			f, why := parseFilter(part)
			if why != "" {
				return base, nil, &filterFault{at + len(part) - len(strings.TrimLeft(part, " \t")), why}
			}
			filters = append(filters, f)
		}
		at += len(part) + len("|")
	}
	return base, filters, nil
}

func parseFilter(text string) (f Filter, fault string) {
	name, argument, has := strings.Cut(text, ":")
	name, argument = strings.TrimSpace(name), strings.TrimSpace(argument)
	switch {
	case name == "":
		return f, fmt.Sprintf("no filter after the | (filters: %s)", strings.Join(Filters(), ", "))
	case !slices.Contains(Filters(), name):
		return f, fmt.Sprintf("unknown filter %s%s (filters: %s)", quote(name), didYouMean(name, Filters()), strings.Join(Filters(), ", "))
	case name != "default" && has:
		return f, fmt.Sprintf("the filter %s has no argument; write {{column|%s}}", name, name)
	case name != "default":
		return Filter{Name: name}, ""
	}
	if quoted, ok := strings.CutPrefix(argument, "'"); ok {
		n := quotedLen(quoted)
		if n < 0 || n != len(quoted) {
			return f, "the text of default must end with its quote; a quote in it is written twice"
		}
		argument = strings.ReplaceAll(quoted[:n-1], "''", "'")
	}
	if first, _ := utf8.DecodeRuneInString(argument); strings.ContainsRune(`"“”„‘’`, first) {
		return f, "the text of default begins with a quote of another kind; write {{column|default:text}} or {{column|default:'text'}}"
	}
	if argument == "" {
		return f, "default needs a text; write {{column|default:text}}"
	}
	return Filter{Name: name, Argument: argument}, ""
}

// splitFilters splits at each | that is not in the quotes of a default text.
func splitFilters(text string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(text); {
		if text[i] != '|' {
			i++
			continue
		}
		parts = append(parts, text[start:i])
		start = i + 1
		i = start + quotedDefault(text[start:])
	}
	return append(parts, text[start:])
}

// quotedDefault returns the length of a text default:'…' at the beginning of s, which
// may be cut before its closing quote; 0 for anything else.
func quotedDefault(s string) int {
	rest := strings.TrimLeft(s, " \t")
	rest, ok := strings.CutPrefix(rest, "default")
	if !ok {
		return 0
	}
	if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), ":"); !ok {
		return 0
	}
	if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), "'"); !ok {
		return 0
	}
	if n := quotedLen(rest); n >= 0 {
		return len(s) - len(rest) + n
	}
	return 0
}

// quotedLen returns the length of s up to and including the quote that ends it, -1 if
// there is none. A doubled quote ends nothing.
func quotedLen(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '\'' {
			return i + 1
		}
		i++
	}
	return -1
}

// closingBraces returns the offset of the }} that ends the variable whose {{ is at the
// beginning of text, -1 if there is none. Braces in the quotes of a default text don't
// count.
func closingBraces(text string) int {
	for i := len("{{"); i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "}}"):
			return i
		case text[i] == '|':
			i++
			i += quotedDefault(text[i:])
		default:
			_, size := utf8.DecodeRuneInString(text[i:])
			i += size
		}
	}
	return -1
}
