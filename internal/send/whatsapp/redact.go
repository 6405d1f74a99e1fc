package whatsapp

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"campaignd/internal/display"
	"campaignd/internal/send"
)

// maxQuoteLen limits a quotation of Meta's text, in bytes.
const maxQuoteLen = 200

// redactNumbers returns s as one short line, with every possible phone number masked: an error
// text must not contain contact data (docs/contract.md 12, 5).
func redactNumbers(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	return clip(display.HideNumbers(s, minDigits, "(number)"), maxQuoteLen)
}

// minRedactLen is the shortest value of a message that is redacted: shorter ones occur in any text.
const minRedactLen = 3

// quote quotes Meta's text without values of the message that Meta may have repeated. It returns ""
// if there is none. The fbtrace_id is left out of refusals of one message: the texts of equal
// refusals must be equal (send.VerdictPermanent).
func (v *verdict) quote(token, contact string, content []byte) string {
	said := v.metaText
	hide := func(s string) {
		if len(s) >= minRedactLen {
			said = strings.ReplaceAll(said, s, "…")
		}
	}
	hide(token)
	hide(contact)
	eachValue(content, hide)
	var out string
	if said = redactNumbers(said); said != "" {
		out = fmt.Sprintf("; WhatsApp says: %q", said)
	}
	ofMessage := v.Verdict == send.VerdictPermanent || v.Verdict == send.VerdictBadRecipient
	if trace := redactNumbers(v.trace); trace != "" && len(trace) <= 64 && !ofMessage {
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
	for _, kind := range mediaKinds() {
		if o := *m.media(kind); o != nil {
			eachString(o, f)
		}
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
