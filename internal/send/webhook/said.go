package webhook

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"campaignd/internal/display"
	"campaignd/internal/send"
)

const (
	// maxSaid limits a quotation of the receiver, in bytes.
	maxSaid = 200
	// minHidden is the shortest part of a message that is hidden in it: shorter ones occur in any text.
	minHidden = 3
	// maxDigits is the most digits of a word that is no number of somebody.
	maxDigits = 6
	// omitted stands for what is hidden.
	omitted = "…"
)

// said returns what the body of a refusal says, as one short line. It hides words that may be contact data,
// because they occur in the message, and words of the channel's own headers and URL, which may be secrets.
func (c *Channel) said(body []byte, m *send.Message) string {
	about := strings.ToLower(strings.Join([]string{c.private, m.ContactCode, m.To, m.RowReference}, "\n"))
	values := map[string]bool{}
	for _, part := range parts(textOf(m.Content, false)) {
		values[part] = true
	}
	hidden := func(part string) bool {
		return len(part) >= minHidden && (values[part] || strings.Contains(about, part))
	}
	text := strings.Join(strings.Fields(textOf(body, true)), " ")
	words := strings.Fields(display.HideNumbers(text, maxDigits+1, omitted))
	for i, word := range words {
		digits := strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return r
			}
			return -1
		}, word)
		if strings.ContainsAny(word, "@+") || len(digits) > maxDigits || slices.ContainsFunc(parts(word), hidden) {
			words[i] = omitted
		}
	}
	words = slices.CompactFunc(words, func(a, b string) bool { return a == omitted && b == omitted })
	if len(words) == 1 && words[0] == omitted {
		return ""
	}
	return display.Line(display.Clip(strings.Join(words, " "), maxSaid))
}

// parts returns the runs of letters and digits in s, in lower case.
func parts(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// textOf returns the text of JSON, with the names of its members or without, the title of a web page, or
// the text itself.
func textOf(body []byte, names bool) string {
	var v any
	if json.Unmarshal(body, &v) == nil {
		var b strings.Builder
		appendText(&b, v, names)
		return strings.TrimRight(b.String(), ", ")
	}
	text := strings.ToValidUTF8(string(body), "\ufffd")
	if !strings.HasPrefix(strings.TrimSpace(text), "<") {
		return text
	}
	_, title, _ := strings.Cut(text, "<title>")
	title, _, _ = strings.Cut(title, "</title>")
	return title
}

func appendText(b *strings.Builder, v any, names bool) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if names {
				b.WriteString(name + ": ")
			}
			appendText(b, v[name], names)
		}
	case []any:
		for _, one := range v {
			appendText(b, one, names)
		}
	case nil:
	default:
		fmt.Fprintf(b, "%v, ", v)
	}
}
