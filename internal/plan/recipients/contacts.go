package recipients

import (
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/contact"
	"campaignd/internal/display"
)

// isNumber reports whether contacts of a kind are sent in their normal form instead of as written.
func isNumber(k contact.Kind) bool { return k == contact.Phone || k == contact.Digits }

// readContact reads a contactCode of acceptable size by a channel's rules, or returns the code of why nothing can be sent to it and
// the reason.
func readContact(rules contact.Rules, buf, text []byte) (normal contact.Normal, code, reason string) {
	if !isNumber(rules.Kind()) {
		if code, reason := contactReason(text); reason != "" {
			return contact.Normal{}, code, reason
		}
		if text[0] == '=' && classify(text) == cellFormula {
			code, reason := cellFormula.refusal()
			return contact.Normal{}, code, reason
		}
	}
	normal, why := rules.Normalize(buf, text)
	if why.Text != "" {
		if code, reason := classify(text).refusal(); reason != "" && code != "cell-exponent" && code != "cell-formula" {
			return contact.Normal{}, code, reason
		}
	}
	return normal, string(why.Code), why.Text
}

// doubts counts, per warning, the accepted rows whose contacts have it.
type doubts [2]struct {
	rows int
	line uint32 // of the first
}

func (d *doubts) add(w contact.Warnings, line uint32) {
	for i, one := range contact.AllWarnings() {
		if w&one.Warnings == 0 {
			continue
		}
		if d[i].rows == 0 {
			d[i].line = line
		}
		d[i].rows++
	}
}

// merge adds the doubts of later rows.
func (d *doubts) merge(later *doubts) {
	for i := range d {
		if d[i].rows == 0 {
			d[i].line = later[i].line
		}
		d[i].rows += later[i].rows
	}
}

// problems returns one warning for each doubt.
func (d *doubts) problems(file, column string) []campaign.Problem {
	var all []campaign.Problem
	for i, one := range contact.AllWarnings() {
		if d[i].rows == 0 {
			continue
		}
		text := one.Text
		if d[i].rows > 1 {
			text = fmt.Sprintf("%s, in %s", text, display.Amount(d[i].rows, "row"))
		}
		all = append(all, campaign.Problem{Code: string(one.Code), File: file, Line: int(d[i].line), Field: column, Message: text})
	}
	return all
}
