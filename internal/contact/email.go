package contact

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Limits of an address (RFC 5321, 4.5.3.1; RFC 1035, 2.3.4).
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// normalizeEmail reads an address: it is sent as written and compared without regard to case.
func normalizeEmail(buf, cell []byte) (Normal, Refusal) {
	if text := AddressFault(cell); text != "" {
		return Normal{}, Refusal{CodeEmail, text}
	}
	return Normal{To: cell, Key: appendLower(buf, cell)}, Refusal{}
}

func appendLower(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}

// AddressFault returns what is wrong with an email address, "" if nothing is. Only a plain address is right: local@domain as a dot-atom (RFC
// 5322, 3.4.1) with a domain of at least two labels, or localhost. Non-ASCII letters
// are allowed (RFC 6531); some servers refuse them. A right address is safe in an SMTP
// command and in a header. The text doesn't repeat the address.
func AddressFault(a []byte) string {
	switch {
	case len(a) == 0:
		return "the mail address is empty"
	case len(a) > maxAddress:
		return "the mail address is longer than 254 bytes"
	case !utf8.Valid(a):
		return "the mail address is not UTF-8"
	case bytes.ContainsFunc(a, control):
		return "the mail address contains a control character"
	case bytes.ContainsAny(a, "<>"):
		return "the mail address has angle brackets or a display name; write only the address, such as ana@example.com"
	case bytes.ContainsAny(a, ",;"):
		return "the cell contains more than one mail address; write one per row"
	case bytes.ContainsAny(a, `"()\`):
		return `the mail address contains quotes, brackets or a comment; remove them: ana@example.com`
	case bytes.ContainsFunc(a, unicode.IsSpace):
		return "the mail address contains a space"
	}
	local, domain, ok := bytes.Cut(a, []byte("@"))
	switch {
	case !ok:
		return "the mail address has no @"
	case bytes.IndexByte(domain, '@') >= 0:
		return "the mail address has more than one @"
	case len(local) == 0:
		return "the mail address has nothing before its @"
	case len(local) > maxLocal:
		return "the mail address has more than 64 bytes before its @"
	}
	for atom := range bytes.SplitSeq(local, []byte(".")) {
		if len(atom) == 0 || bytes.ContainsFunc(atom, notAtom) {
			return "the part before the @ of the mail address has a dot at an end, two dots in a row, or an invalid character"
		}
	}
	return DomainFault(domain)
}

// DomainFault returns what is wrong with the domain of an email address, "" if nothing is.
func DomainFault(domain []byte) string {
	labels, last := 0, []byte(nil)
	for label := range bytes.SplitSeq(domain, []byte(".")) {
		if len(label) == 0 || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' || bytes.ContainsFunc(label, notHost) {
			return "the domain of the mail address is not a host name such as example.com"
		}
		labels, last = labels+1, label
	}
	switch {
	case labels == 1 && !bytes.EqualFold(domain, []byte("localhost")):
		return "the domain of the mail address has no dot; write the complete domain, such as example.com"
	case len(bytes.Trim(last, "0123456789")) == 0:
		return "the domain of the mail address ends with a number; write a host name, such as example.com"
	}
	return ""
}

// notAtom reports whether r is invalid in an atom (RFC 5322, 3.2.3; RFC 6532, 3.2).
func notAtom(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
		return false
	case r < utf8.RuneSelf:
		return !bytes.ContainsRune([]byte("!#$%&'*+-/=?^_`{|}~"), r)
	}
	return !unicode.IsPrint(r)
}

// notHost reports whether r is invalid in a label of a host name.
func notHost(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-':
		return false
	case r == '_': // invalid in host names, but some domains with mail have it
		return false
	}
	return r < utf8.RuneSelf || !unicode.In(r, unicode.L, unicode.M, unicode.N)
}

// control reports whether r is a control character or a line separator.
func control(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
