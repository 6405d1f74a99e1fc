package whatsapp

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// longestSaid is how much of Meta's words is kept.
const longestSaid = 200

// plain is what Meta said as one short line in which every number that could be a
// phone number is masked: an error text must hold no contact data (SPEC 12, 5).
func plain(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	var b strings.Builder
	for i := 0; i < len(s); {
		end, digits := number(s[i:])
		if digits >= minDigits {
			b.WriteString("(number)")
			i += end
			continue
		}
		step := max(end, 1)
		b.WriteString(s[i : i+step])
		i += step
	}
	return clip(b.String(), longestSaid)
}

// number is the length of the digits that s begins with, single separators
// between them included, and how many digits there are.
func number(s string) (end, digits int) {
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b >= '0' && b <= '9':
			digits++
			end = i + 1
		case digits > 0 && end == i && strings.IndexByte(" -.()", b) >= 0:
		default:
			return end, digits
		}
	}
	return end, digits
}

// leastVeiled is the length from which on a value of a message is looked for in
// what Meta says: shorter ones are in every text.
const leastVeiled = 3

// quote is what Meta said, without what the message itself holds, should Meta have
// repeated it; "" for nothing.
func (v *verdict) quote(token, contact string, content []byte) string {
	said := v.said
	hide := func(s string) {
		if len(s) >= leastVeiled {
			said = strings.ReplaceAll(said, s, "…")
		}
	}
	hide(token)
	hide(contact)
	eachValue(content, hide)
	var out string
	if said = plain(said); said != "" {
		out = fmt.Sprintf("; WhatsApp says: %q", said)
	}
	if trace := plain(v.trace); trace != "" && len(trace) <= 64 {
		out += ", fbtrace_id " + trace
	}
	return out
}

// eachValue calls f with every string of a content that a row may have filled in.
func eachValue(content []byte, f func(string)) {
	var m message
	if json.Unmarshal(content, &m) != nil {
		return
	}
	if m.Text != nil {
		f(m.Text.Body)
	}
	if m.Template == nil {
		return
	}
	for _, c := range m.Template.Components {
		for _, p := range c.Parameters {
			for key, v := range p {
				if key != "type" && key != "parameter_name" {
					eachString(v, f)
				}
			}
		}
	}
}

func eachString(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, one := range v {
			eachString(one, f)
		}
	case map[string]any:
		for _, one := range v {
			eachString(one, f)
		}
	}
}
