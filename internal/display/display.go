// Package display makes texts from outside fit to be shown to people, on a terminal, on a page, in
// a report or in a log: what is invisible, turns the direction of writing or starts a terminal's
// escape sequence is shown escaped, as in \u202e. It is a room of its own because every other room
// that shows something needs the same rule.
//
// It changes what is shown only. Names and texts are stored, compared and sent as they came.
package display

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with everything escaped that isn't visible, except blanks, line breaks and tabs.
// What is not UTF-8 becomes U+FFFD.
func Text(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	before := rune(0)
	for i, r := range s {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, size = utf8.DecodeRuneInString(s[i:])
		}
		switch after, _ := utf8.DecodeRuneInString(s[i+size:]); {
		case r == '\n' || r == '\t' || !hidden(r) || joins(before, r, after):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		before = r
	}
	return b.String()
}

// Line is Text on one line: line breaks and tabs become blanks.
func Line(s string) string {
	return Text(strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\r', '\t':
			return ' '
		}
		return r
	}, s))
}

// Clip returns at most most bytes of s, cut between characters and with an ellipsis if it was cut.
func Clip(s string, most int) string {
	const ellipsis = "…"
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\ufffd")
	}
	return strings.ToValidUTF8(s[:max(most-len(ellipsis), 0)], "") + ellipsis
}

// isPlain reports whether s is ASCII that needs no change, as most texts are.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// hidden reports characters that aren't visible: controls, line and paragraph separators, marks of
// direction, zero-width characters and fillers. The signs of number before Arabic digits are visible.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point) ||
		unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// joins reports a joiner or non-joiner in its proper place, as within an emoji or a Persian word.
func joins(before, r, after rune) bool {
	return (r == '\u200c' || r == '\u200d') && before >= utf8.RuneSelf && after >= utf8.RuneSelf && after != utf8.RuneError &&
		!hidden(before) && !hidden(after)
}
