package contact

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// mostDigits bounds the digits of a cell: 00, a calling code, a misplaced 0 and the longest number fit.
const mostDigits = 24

// A number is the digits of a cell, without what people and programs write around them.
type number struct {
	buf         [mostDigits]byte
	n           int
	plus        bool // + before the first digit
	decimalZero bool // ".0" after the last digit was left out
}

func (d *number) digits() []byte { return d.buf[:d.n] }

// clean reads the digits of a cell: it leaves out a spreadsheet's or an address book's wrapping, spaces, dots, dashes and
// brackets, and converts digits of other scripts.
func (d *number) clean(cell []byte) Refusal {
	text := unwrap(cell)
	if d.plain(text) {
		return Refusal{}
	}
	var groups grouping
	for i := 0; i < len(text); {
		if c := text[i]; d.n < mostDigits && c-'0' <= 9 { // most characters
			groups.digit(d.n)
			d.buf[d.n] = c
			d.n++
			i++
			continue
		} else if c == ' ' && d.n > 0 {
			groups.separator(' ')
			i++
			continue
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(text[i:])
		}
		i += size
		digit := digitOf(r)
		switch {
		case digit >= 0 && d.n == mostDigits:
			return refuse(CodeLength)
		case digit >= 0:
			groups.digit(d.n)
			d.buf[d.n] = '0' + byte(digit)
			d.n++
		case d.n == 0 && !d.plus && isPlus(r):
			d.plus = true
		case d.n == 0 && !d.plus && isDash(r):
			return refuse(CodeNegative)
		case isSeparator(r):
			groups.separator(r)
		case exponent(cell):
			return refuse(CodeExponent)
		default:
			return characterRefusal(r, size)
		}
	}
	if d.n == 0 {
		return Refusal{CodeCharacter, "the phone number has no digit"}
	}
	if zeros := groups.decimals(d.digits()); zeros > 0 {
		d.n -= zeros
		d.decimalZero = true
	}
	return Refusal{}
}

// plain reads a text of nothing but ASCII digits, as most cells are, and reports whether it is one.
func (d *number) plain(text []byte) bool {
	if len(text) > mostDigits {
		return false
	}
	for i, c := range text {
		if c-'0' > 9 {
			return false
		}
		d.buf[i] = c
	}
	d.n = len(text)
	return d.n > 0
}

// grouping notes how separators divide the digits, to recognize a number written with decimals.
type grouping struct {
	groups  int  // separated groups after the first
	start   int  // of the last group
	pending int  // separators since the last digit
	dot     bool // the last of them is a dot
	byDot   bool // the last group follows a single dot
}

func (g *grouping) separator(r rune) { g.pending, g.dot = g.pending+1, isDot(r) }

// digit notes a digit in front of which there are n others.
func (g *grouping) digit(n int) {
	if n > 0 && g.pending > 0 {
		g.groups, g.start, g.byDot = g.groups+1, n, g.pending == 1 && g.dot
	}
	g.pending = 0
}

// decimals returns how many zeros at the end are decimals: one or two after a dot that is the only separator.
func (g *grouping) decimals(digits []byte) int {
	last := digits[g.start:]
	if g.groups != 1 || !g.byDot || len(last) > 2 || len(bytes.Trim(last, "0")) > 0 {
		return 0
	}
	return len(last)
}

// unwrap leaves out an apostrophe in front, ="…", "tel:" and "whatsapp:", and blanks between them. text has
// no blanks around it.
func unwrap(text []byte) []byte {
	for ; len(text) > 0; text = bytes.TrimSpace(text) {
		if c := text[0]; c >= '0' && c <= '9' || c == '+' { // nearly always
			return text
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case isApostrophe(r):
			return unwrapInner(bytes.TrimSpace(text[size:]))
		case len(text) > 2 && text[0] == '=' && text[1] == '"' && text[len(text)-1] == '"':
			text = text[2 : len(text)-1]
		default:
			return unwrapInner(text)
		}
	}
	return text
}

func unwrapInner(text []byte) []byte {
	for _, scheme := range []string{"tel:", "whatsapp:"} {
		if len(text) > len(scheme) && bytes.EqualFold(text[:len(scheme)], []byte(scheme)) {
			return text[len(scheme):]
		}
	}
	return text
}

// digitOf returns the value of a digit of any script, -1 for other characters. Unicode has the digits of a script in a row, from 0.
func digitOf(r rune) int {
	switch {
	case r >= '0' && r <= '9':
		return int(r - '0')
	case r < utf8.RuneSelf:
		return -1
	}
	for _, script := range unicode.Nd.R16 {
		if r <= rune(script.Hi) {
			if r < rune(script.Lo) {
				return -1
			}
			return int(r-rune(script.Lo)) % 10
		}
	}
	for _, script := range unicode.Nd.R32 {
		if r <= rune(script.Hi) {
			if r < rune(script.Lo) {
				return -1
			}
			return int(r-rune(script.Lo)) % 10
		}
	}
	return -1
}

func isPlus(r rune) bool { return r == '+' || r == '＋' || r == '﹢' }

func isApostrophe(r rune) bool {
	switch r {
	case '\'', '‘', '’', 'ʼ', '＇', '`', '´':
		return true
	}
	return false
}

func isDot(r rune) bool {
	switch r {
	case '.', '·', '•', '․', '‧', '∙', '⋅', '。', '．', '｡':
		return true
	}
	return false
}

// isDash reports whether r is a dash or looks like one.
func isDash(r rune) bool {
	switch r {
	case '-', '\u00ad', '˗', '⁃', '−', 'ー', 'ｰ', '─', '━':
		return true
	}
	return r >= utf8.RuneSelf && unicode.Is(unicode.Pd, r)
}

// isSeparator reports whether r only divides digits, or can't be seen at all.
func isSeparator(r rune) bool {
	switch r {
	case ' ', '\t', '(', ')', '[', ']', '（', '）', '［', '］', '﹙', '﹚':
		return true
	case '\u061c', '\u180e', '\ufeff': // marks of direction and width
		return true
	}
	return isDot(r) || isDash(r) || r >= utf8.RuneSelf && unicode.Is(unicode.Zs, r) ||
		r >= '\u200b' && r <= '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2060' && r <= '\u2069'
}

// exponent reports whether a cell is a number as a spreadsheet shortens it: 3.46668E+10, 3,46668E10.
func exponent(cell []byte) bool {
	cell = bytes.TrimSpace(cell)
	i := bytes.IndexAny(cell, "eE")
	if i < 1 || i == len(cell)-1 {
		return false
	}
	for _, c := range unwrap(cell[:i]) {
		if (c < '0' || c > '9') && bytes.IndexByte([]byte("+-., "), c) < 0 {
			return false
		}
	}
	power := bytes.TrimLeft(cell[i+1:], "+-")
	return len(power) > 0 && len(power) <= 3 && len(bytes.Trim(power, "0123456789")) == 0
}

// LooksLikeNumber reports whether a text is probably meant as a phone number, readable or not: seven digits or more, fewer
// letters than digits, and no @.
func LooksLikeNumber(text []byte) bool {
	digits, letters := 0, 0
	for _, r := range string(text) {
		switch {
		case r == '@':
			return false
		case digitOf(r) >= 0:
			digits++
		case unicode.IsLetter(r):
			letters++
		}
	}
	return digits >= 7 && letters < digits
}

// characterRefusal names a character that can't be in a phone number, if it can be shown.
func characterRefusal(r rune, size int) Refusal {
	if r == utf8.RuneError && size <= 1 || !unicode.IsPrint(r) {
		return refuse(CodeCharacter)
	}
	if isPlus(r) {
		return Refusal{CodeCharacter, "the phone number has a + that isn't at its beginning"}
	}
	return Refusal{CodeCharacter, fmt.Sprintf("the phone number has %q, which can't be in one; write + and the country code, such as +34 666 000 111", r)}
}
