package contact

import (
	"bytes"
	"slices"
	"strings"
)

// shortestDigits is the least length of a contact of kind Digits: shorter ones are counters, not numbers.
const shortestDigits = 3

// normalizePhone reads a phone number (docs/contract.md 4, Phone numbers).
func (r Rules) normalizePhone(buf, cell []byte) (Normal, Refusal) {
	if r.IsPlain(cell) || r.kind == Digits && len(cell) <= maxDigits && len(cell) >= shortestDigits && allDigits(cell) {
		return Normal{To: cell, Key: cell}, Refusal{}
	}
	var d number
	if why := d.clean(cell); why.Code != "" {
		return Normal{}, why
	}
	var n Normal
	if d.decimalZero {
		n.Warnings |= DecimalZero
	}
	digits := d.digits()
	if r.kind == Digits {
		if len(digits) < shortestDigits || len(digits) > maxDigits {
			return Normal{}, Refusal{CodeLength, "the number has fewer than 3 or more than 15 digits"}
		}
		n.To = append(buf, digits...)
		n.Key = n.To
		return n, Refusal{}
	}
	var p reading
	var code Code
	switch {
	case d.plus:
		p, code = international(digits)
	case bytes.HasPrefix(digits, []byte("00")):
		p, code = international(digits[2:])
	default:
		p, code = r.bare(digits)
	}
	if code != "" {
		return Normal{}, refuse(code)
	}
	if p.unknown {
		n.Warnings |= UnknownRange
	}
	n.To = p.appendTo(buf)
	n.Key = p.code.key(n.To)
	return n, Refusal{}
}

// IsPlain reports whether a cell is the E.164 digits of a valid number that is its own key, and can be read in no other
// way: of the country's own calling code, or of any where there is no country. Most cells are, and Normalize returns
// them unchanged, without a warning. It serves only speed: false says nothing about a cell.
func (r Rules) IsPlain(cell []byte) bool {
	if r.kind != Phone || len(cell) < 3 || len(cell) > maxDigits || cell[0]-'0' > 9 || cell[1]-'0' > 9 || cell[2]-'0' > 9 {
		return false
	}
	c, national := split(cell)
	if c == nil || r.country != nil && c != &callingCodes[r.country.code] || c.digits == mexico || c.digits == brazil {
		return false
	}
	state := c.start
	for _, digit := range national {
		if digit -= '0'; digit > 9 {
			return false
		}
		state = automaton[int(state)+int(digit)]
	}
	return automaton[int(state)+marksEntry] != 0
}

func allDigits(cell []byte) bool {
	for _, c := range cell {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// A reading is what digits are understood as: a calling code, digits that weren't written, and the rest.
type reading struct {
	code    *callingCode
	prepend string
	rest    []byte
	skip    int  // where rest has the mobile mark of Argentina; 0: nowhere
	unknown bool // no numbering plan has its range
}

// international reads a number that begins with its calling code, because somebody wrote + or 00: what the
// plans don't know may be new, so only an unknown calling code and an impossible length are refused.
func international(digits []byte) (reading, Code) {
	c, national := split(digits)
	if c == nil {
		return reading{}, CodeUnknownCode
	}
	if len(national) > 0 && national[0] == '0' {
		return trunkZero(c, national)
	}
	if !c.possible(len(national)) && !(c.digits == mexico && oldMexican(national)) {
		return reading{}, CodeLength
	}
	return reading{code: c, rest: national, unknown: c.check(national) == 0}, ""
}

// trunkZero reads +44 (0)20 … without its zero, since it is valid only so, and +39 (0)6 … with it.
func trunkZero(c *callingCode, national []byte) (reading, Code) {
	with, without := c.check(national) != 0, c.check(national[1:]) != 0
	switch {
	case with && without:
		return reading{}, CodeTrunkZero
	case without:
		return reading{code: c, rest: national[1:]}, ""
	case with:
		return reading{code: c, rest: national}, ""
	case step(c.start, national[:1]) == 0 || c.hasTrunkZero(): // no number or hardly any begins with 0, so this one can't be called as written
		return reading{}, CodeTrunkZero
	case !c.possible(len(national)):
		return reading{}, CodeLength
	}
	return reading{code: c, rest: national, unknown: true}, ""
}

// hasTrunkZero reports whether a country of the calling code writes national numbers with a 0 in front.
func (c *callingCode) hasTrunkZero() bool {
	return slices.ContainsFunc(countries[:], func(k country) bool {
		return &callingCodes[k.code] == c && slices.ContainsFunc(k.forms, func(f nationalForm) bool { return f.strip == "0" })
	})
}

// bare reads digits without + or 00: as (1) the country's code and a valid number of it, else (2) a valid
// national number of the country, else (3) a valid international number. Where a national number is written with a prefix
// that is missing and (3) fits as well, it is none of them.
func (r Rules) bare(digits []byte) (reading, Code) {
	if r.country != nil {
		home := &callingCodes[r.country.code]
		if rest, ok := bytes.CutPrefix(digits, []byte(home.digits)); ok && home.check(rest) != 0 {
			return reading{code: home, rest: rest}, ""
		}
		if m := home.checkNational(digits); m&markPrefix != 0 && validInternational(digits) {
			return reading{}, CodeAmbiguous
		} else if m != 0 {
			return reading{code: home, rest: digits}, ""
		}
		if p, ok := r.country.national(home, digits); ok {
			return p, ""
		}
	}
	foreign, rest := split(digits)
	switch {
	case foreign != nil && foreign.check(rest) != 0:
		return reading{code: foreign, rest: rest}, ""
	case digits[0] == '0':
		return reading{}, CodeLeadingZero
	}
	return reading{}, CodeInvalid
}

// validInternational reports whether digits are a calling code and a valid number of it.
func validInternational(digits []byte) bool {
	c, national := split(digits)
	return c != nil && c.check(national) != 0
}

// national reads a number that is written as in its own country, with the national prefix or without an area code.
func (k *country) national(home *callingCode, digits []byte) (reading, bool) {
	text := string(digits) // doesn't escape
	for i := range k.forms {
		f := &k.forms[i]
		if !strings.HasPrefix(text, f.strip) {
			continue
		}
		rest := digits[len(f.strip):]
		if walk(f.start, rest) != 0 || f.prepend == "" && home.checkNational(rest) != 0 {
			return reading{code: home, prepend: f.prepend, rest: rest}, true
		}
	}
	if k.id == argentina {
		rest := bytes.TrimPrefix(digits, []byte("0"))
		if area := home.mobile15(rest); area > 0 {
			return reading{code: home, prepend: mobilePrefix, rest: rest, skip: area}, true
		}
	}
	return reading{}, false
}

// appendTo appends the number with its calling code.
func (p *reading) appendTo(dst []byte) []byte {
	dst = append(append(dst, p.code.digits...), p.prepend...)
	if p.skip > 0 {
		return append(append(dst, p.rest[:p.skip]...), p.rest[p.skip+len(mobileMark):]...)
	}
	return append(dst, p.rest...)
}

// appendWritten appends the key of an international number as it is written, its 0 included.
func appendWritten(dst, cell []byte) []byte {
	var d number
	d.clean(bytes.TrimSpace(cell))
	digits := bytes.TrimPrefix(d.digits(), []byte("00"))
	c, _ := split(digits)
	if c == nil {
		return append(dst, digits...)
	}
	return append(dst, c.key(digits)...)
}
