package whatsapp

import (
	"errors"
	"fmt"
	"unicode/utf8"

	contacts "campaignd/internal/contact"
)

// A contact has 7 to 15 digits, including the country code (ITU-T E.164, 6).
const (
	minDigits = 7
	maxDigits = 15
)

// recipient is a contact in the API's form.
type recipient struct {
	text   []byte // digits, or a user id
	userID bool   // business-scoped user id: it goes into "recipient" and not into "to"
}

// parseRecipient returns the recipient of a contactCode. It appends digits to buf. The error repeats nothing
// of the contact but an invalid character.
func parseRecipient(buf, code []byte) (recipient, error) {
	if contacts.IsUserID(code) {
		return recipient{text: code, userID: true}, nil
	}
	digits, err := appendDigits(buf, code)
	return recipient{text: digits}, err
}

// appendDigits appends the digits of a contactCode. It skips a leading plus, spaces, dots, dashes
// and brackets. The error repeats nothing of the number but an invalid character.
func appendDigits(dst, code []byte) ([]byte, error) {
	start, plus := len(dst), false
	if len(code) >= minDigits && len(code) <= maxDigits && isDigits(code) { // nearly always
		return append(dst, code...), nil
	}
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
				return dst[:start], errors.New(`has a "+" that isn't at its start`)
			}
			plus = true
		case isSeparator(r):
		case r == utf8.RuneError || r < ' ':
			return dst[:start], errors.New("contains a character that is invalid in a phone number")
		default:
			return dst[:start], fmt.Errorf("contains %q, which is invalid in a phone number: write digits with the country code, such as +34 666 000 111", r)
		}
	}
	if n := len(dst) - start; n < minDigits {
		return dst[:start], fmt.Errorf("has %d digits: a phone number with its country code has %d to %d", n, minDigits, maxDigits)
	}
	return dst, nil
}

func isDigits(code []byte) bool {
	for _, c := range code {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// isSeparator reports whether r only separates digits. Word processors replace plain spaces and
// dashes with other ones.
func isSeparator(r rune) bool {
	switch r {
	case ' ', '.', '-', '(', ')', '[', ']', '\u00a0', '\u2007', '\u2009', '\u202f', '\u2212':
		return true
	}
	return r >= '\u2010' && r <= '\u2015'
}
