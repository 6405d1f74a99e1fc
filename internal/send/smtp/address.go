package smtp

import (
	"errors"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/contact"
)

// checkAddress returns an error for anything but a plain address. The error doesn't repeat it.
func checkAddress(a []byte) error {
	if fault := contact.AddressFault(a); fault != "" {
		return errors.New(fault)
	}
	return nil
}

// checkDomain returns an error for anything but the domain of an address.
func checkDomain(domain []byte) error {
	if fault := contact.DomainFault(domain); fault != "" {
		return errors.New(fault)
	}
	return nil
}

// control reports whether r is a control character or one that breaks lines.
func control(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
