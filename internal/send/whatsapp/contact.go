package whatsapp

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// A contact is 7 to 15 digits with the country's code (ITU-T E.164, 6).
const (
	minDigits = 7
	maxDigits = 15
)

// appendDigits appends the digits of a contactCode: a plus before them, spaces, dots, dashes and
// brackets are taken off. The error names no part of the number but a
// character that doesn't belong there.
func appendDigits(dst, code []byte) ([]byte, error) {
	start, plus := len(dst), false
	for i := 0; i < len(code); {
		r, size := utf8.DecodeRune(code[i:])
		i += size
		switch {
		case r >= '0' && r <= '9':
			if len(dst)-start == maxDigits {
				return dst[:start], fmt.Errorf("has more than %d digits: a phone number with its country code has %d to %d", maxDigits, minDigits, maxDigits)
			}
			dst = append(dst, byte(r))
		case r == '+':
			if plus || len(dst) > start {
				return dst[:start], errors.New(`has a "+" elsewhere than at its start`)
			}
			plus = true
		case taken(r):
		case r == utf8.RuneError || r < ' ':
			return dst[:start], errors.New("holds a character that can't be in a phone number")
		default:
			return dst[:start], fmt.Errorf("holds %q, which can't be in a phone number: write digits with the country code, such as +34 666 000 111", r)
		}
	}
	if n := len(dst) - start; n < minDigits {
		return dst[:start], fmt.Errorf("has %d digits: a phone number with its country code has %d to %d", n, minDigits, maxDigits)
	}
	return dst, nil
}

// taken reports whether r only sets digits apart: also the spaces and dashes
// that word processors put for the plain ones.
func taken(r rune) bool {
	switch r {
	case ' ', '.', '-', '(', ')', '[', ']', '\u00a0', '\u2007', '\u2009', '\u202f', '\u2212':
		return true
	}
	return r >= '\u2010' && r <= '\u2015'
}
