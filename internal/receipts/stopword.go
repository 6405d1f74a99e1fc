package receipts

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// IsStopWord reports whether the contact typed nothing but one of the words, in any case and with any punctuation
// and blanks around them (docs/contract.md 10).
func (r *Reply) IsStopWord(words []string) bool {
	if !r.Typed {
		return false
	}
	typed := BareWords(r.Text)
	for _, word := range words {
		if bare := BareWords(word); bare != "" && bare == typed {
			return true
		}
	}
	return false
}

// BareWords returns a text without case, punctuation, invisible characters and blanks but one between words.
func BareWords(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPunct(r) || unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Cc, unicode.Variation_Selector):
			return -1
		}
		return r
	}, cases.Fold().String(norm.NFKC.String(text)))
	return strings.Join(strings.Fields(text), " ")
}
