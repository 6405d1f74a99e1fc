package report

import "unicode/utf8"

// appendCell appends v as a CSV cell (RFC 4180): in quotes if it holds a comma, a quote or a
// line end, or begins or ends with a space, which some readers drop. With guard an apostrophe
// precedes what a spreadsheet would take for a formula.
func appendCell[T string | []byte](dst []byte, v T, guard bool) []byte {
	formula := guard && isFormula(v)
	quoted := len(v) > 0 && (space(v[0]) || space(v[len(v)-1]))
	for i := 0; i < len(v) && !quoted; i++ {
		quoted = v[i] == ',' || v[i] == '"' || v[i] == '\n' || v[i] == '\r'
	}
	if quoted {
		dst = append(dst, '"')
	}
	if formula {
		dst = append(dst, '\'')
	}
	if !quoted {
		return append(dst, v...)
	}
	for i := range len(v) {
		if v[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, v[i])
	}
	return append(dst, '"')
}

// isFormula reports whether a spreadsheet would take v for a formula. A number and a phone
// number with a sign are none.
func isFormula[T string | []byte](v T) bool {
	if len(v) == 0 {
		return false
	}
	switch v[0] {
	case '=', '@', '\t', '\r':
		return true
	case '+', '-':
		return !isNumber(v[1:])
	case 0xEF: // full-width = @ + -
		r, n := utf8.DecodeRuneInString(string(v[:min(len(v), utf8.UTFMax)]))
		return r == '\uff1d' || r == '\uff20' || (r == '\uff0b' || r == '\uff0d') && !isNumber(v[n:])
	}
	return false
}

// isNumber reports whether v is only digits, spaces, dots, dashes and brackets.
func isNumber[T string | []byte](v T) bool {
	for i := range len(v) {
		switch c := v[i]; {
		case c >= '0' && c <= '9', c == ' ', c == '.', c == '-', c == '(', c == ')', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

func space(b byte) bool { return b == ' ' || b == '\t' }
