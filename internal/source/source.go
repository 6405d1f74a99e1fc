// Package source finds positions in a text, collects the problems at them, and finds
// the known name nearest to an unknown one. It exists because the configuration and the
// dropped documents locate their errors in the same way.
//
// It reads nothing and can't fail: every input, hostile ones included, has an
// answer, in time linear in the text and bounded for a name.
package source

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// bom is the mark that some editors write before UTF-8 text; it doesn't count as a character.
const bom = "\ufeff"

// Locator finds the line and column (both from 1, column in characters) of byte offsets in one text.
// Lines end with LF, CRLF or CR; a byte that is not UTF-8 counts as a character, a BOM at the start
// as none. An offset outside the text counts as its nearer end. Offsets in ascending order cost one
// pass over the text in total.
type Locator struct {
	data         []byte
	start        int // of the text, after a BOM
	at           int // the offset of line and column
	line, column int
}

// NewLocator returns a Locator for data, which must not change afterwards.
func NewLocator(data []byte) *Locator {
	l := &Locator{data: data}
	if bytes.HasPrefix(data, []byte(bom)) {
		l.start = len(bom)
	}
	l.rewind()
	return l
}

func (l *Locator) rewind() { l.at, l.line, l.column = l.start, 1, 1 }

// At returns the position of offset.
func (l *Locator) At(offset int) (line, column int) {
	if offset < l.at {
		l.rewind()
	}
	for l.at < offset && l.at < len(l.data) {
		switch b := l.data[l.at]; {
		case b == '\n', b == '\r' && !bytes.HasPrefix(l.data[l.at+1:], []byte("\n")):
			l.line, l.column = l.line+1, 1
			l.at++
		case b < utf8.RuneSelf:
			l.column++
			l.at++
		default:
			_, size := utf8.DecodeRune(l.data[l.at:])
			if l.at+size > offset { // within a character
				return l.line, l.column
			}
			l.column++
			l.at += size
		}
	}
	return l.line, l.column
}

// longest is the length in characters up to which names are compared by
// distance: the cost is the product of the lengths, and names may be hostile.
const longest = 64

// shortest is the length in characters from which a common prefix counts.
const shortest = 3

// DidYouMean ends a message with the nearest of the known names, as in `; did you mean "delay"?`, and with
// nothing if none is near.
func DidYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Nearest returns the known name most similar to name, or "". A name is near at an
// edit distance of at most a third of the longer name (rounded, at least 1) with
// something in common; two swapped neighbours count as one edit. If none is near,
// the first known name that is a prefix of name, or has it as prefix, is returned.
// Case is ignored; of equally near names the first wins. Names of more than 64
// characters are near only to themselves.
func Nearest(name string, known []string) string {
	folded, size := strings.ToLower(name), utf8.RuneCountInString(name)
	best, least := "", longest
	for _, one := range known {
		if one == name {
			return one
		}
		other := utf8.RuneCountInString(one)
		longer, apart := max(size, other), max(size-other, other-size)
		allowed := min(max((longer+1)/3, 1), longer-1, least-1)
		if apart > allowed {
			continue
		}
		if longer > longest {
			if strings.EqualFold(one, name) {
				best, least = one, 0
			}
			continue
		}
		if d := distance(folded, strings.ToLower(one)); d <= allowed {
			best, least = one, d
		}
	}
	if best != "" || size < shortest || size > longest {
		return best
	}
	for _, one := range known {
		if begun := strings.ToLower(one); utf8.RuneCountInString(one) <= longest &&
			(strings.HasPrefix(begun, folded) || utf8.RuneCountInString(one) >= shortest && strings.HasPrefix(folded, begun)) {
			return one
		}
	}
	return ""
}

// distance returns the edit distance of a and b, 1 if two neighbours are swapped.
func distance(a, b string) int {
	if x, y := []rune(a), []rune(b); len(x) == len(y) {
		i := 0
		for i < len(x) && x[i] == y[i] {
			i++
		}
		if i+1 < len(x) && x[i] == y[i+1] && x[i+1] == y[i] && string(x[i+2:]) == string(y[i+2:]) {
			return 1
		}
	}
	return levenshtein.ComputeDistance(a, b)
}
