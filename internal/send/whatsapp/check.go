package whatsapp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// This file checks Meta's rules for each row before anything is sent. Meta would refuse
// each bad message with 100 or 132018.

var errNotAMessage = errors.New("the content isn't a message of this channel")

// text describes the value of a JSON string.
type text struct {
	raw    []byte // the inside of the quotes, with its escapes
	chars  int
	spaces int  // the longest run of them
	breaks bool // contains a line break
	tabs   bool
}

// measure reads raw, the inside of a JSON string.
func measure(raw []byte) text {
	t := text{raw: raw}
	run := 0
	for i := 0; i < len(raw); t.chars++ {
		b := raw[i]
		size := 1
		switch {
		case b == '\\' && i+1 < len(raw):
			b, size = escape(raw[i:])
		case b >= 0x80: // continuation bytes aren't counted
			for size < 4 && i+size < len(raw) && raw[i+size]&0xc0 == 0x80 {
				size++
			}
		}
		i += size
		if b == ' ' {
			run++
			t.spaces = max(t.spaces, run)
			continue
		}
		run = 0
		t.breaks = t.breaks || b == '\n' || b == '\r'
		t.tabs = t.tabs || b == '\t'
	}
	return t
}

// escape reads the escape that raw begins with. It returns its character, or 'x' for one that
// doesn't matter here, and its length. A surrogate pair is one character.
func escape(raw []byte) (byte, int) {
	switch raw[1] {
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		if len(raw) < 6 {
			return 'x', len(raw)
		}
		code, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
		switch {
		case err == nil && code < 0x80:
			return byte(code), 6
		case err == nil && code >= 0xd800 && code < 0xdc00 && len(raw) >= 12 && raw[6] == '\\':
			return 'x', 12
		}
		return 'x', 6
	}
	return 'x', 2
}

// checkParameter checks a template's text parameter.
func checkParameter(t text) error {
	switch {
	case t.chars == 0:
		return errors.New("is empty, which a template's text must not be")
	case t.breaks:
		return errors.New("contains a line break, which a template's text must not")
	case t.tabs:
		return errors.New("contains a tab, which a template's text must not")
	case t.spaces > 4:
		return fmt.Errorf("contains %d spaces in a row; a template's text may contain 4", t.spaces)
	}
	return nil
}

// Meta's limits of parameters, in characters (docs/channels.md has their sources).
const (
	maxPayload    = 256
	maxCouponCode = 15
	maxURLText    = 2000
	maxCaption    = 1024
	maxAmount     = 1<<31 - 1 // of amount_1000, an integer of 32 bits
)

// checkMember checks the value of a parameter, or of a member of its object, whose key is key. It isn't
// called for a template's texts.
func checkMember(key string, t text) error {
	if t.chars == 0 {
		return errors.New("is empty")
	}
	switch key {
	case "payload":
		if t.chars > maxPayload {
			return fmt.Errorf("has %d characters; a payload may have %d", t.chars, maxPayload)
		}
	case "coupon_code":
		if t.chars > maxCouponCode || !isAlphanumeric(t.raw) {
			return fmt.Errorf("must have 1 to %d letters and digits, and no other character", maxCouponCode)
		}
	case "caption":
		if t.chars > maxCaption {
			return fmt.Errorf("has %d characters; a caption may have %d", t.chars, maxCaption)
		}
	case "code":
		if len(t.raw) != 3 || !isAlphanumeric(t.raw) || !bytes.Equal(t.raw, bytes.ToUpper(t.raw)) {
			return errors.New("must be a currency's code of three capital letters, such as EUR")
		}
	case "latitude":
		return checkDegrees(t.raw, 90)
	case "longitude":
		return checkDegrees(t.raw, 180)
	}
	return nil
}

func isAlphanumeric(raw []byte) bool {
	for _, b := range raw {
		if !(b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z') {
			return false
		}
	}
	return true
}

// checkDegrees checks a decimal number between -most and most.
func checkDegrees(raw []byte, most float64) error {
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(n >= -most && n <= most) || bytes.ContainsAny(raw, "xXpP_nN") {
		return fmt.Errorf("must be a number of degrees from -%v to %v, such as 40.4168", most, most)
	}
	return nil
}

// isTemplateName reports whether name is valid for a template or a parameter.
func isTemplateName(name []byte) bool {
	for _, b := range name {
		if !(b == '_' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9') {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 512
}

// isLanguageCode reports whether code has the form of Meta's codes: es, fil, en_US, zh_HK, es_419.
func isLanguageCode(code []byte) bool {
	lang, region, has := bytes.Cut(code, []byte("_"))
	if len(lang) < 2 || len(lang) > 3 || has && (len(region) < 2 || len(region) > 4) {
		return false
	}
	for _, b := range lang {
		if b < 'a' || b > 'z' {
			return false
		}
	}
	for _, b := range region {
		if !(b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9') {
			return false
		}
	}
	return true
}

func isWebLink(link []byte) bool {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := bytes.CutPrefix(link, []byte(scheme)); ok && len(rest) > 0 && !bytes.ContainsAny(rest, " \\\"") {
			return true
		}
	}
	return false
}

// The prefixes of the contents that Compile makes.
const (
	textStart     = `{"type":"text","text":{"body":"`
	templateStart = `{"type":"template","template":{`
	languageStart = `","language":{"policy":"deterministic","code":"` // after the name
)

// checkContent checks a rendered content against Meta's rules. It doesn't allocate for a
// valid one. The error names the place and no value.
func checkContent(content []byte) error {
	if rest, ok := bytes.CutPrefix(content, []byte(textStart)); ok {
		// Nearly every text is so short that its bytes needn't be counted as characters.
		if i := bytes.IndexByte(rest, '"'); i > 0 && i <= maxBody && rest[i-1] != '\\' {
			return nil
		}
		end := stringEnd(rest)
		if end < 0 {
			return errNotAMessage
		}
		if n := measure(rest[:end]).chars; n == 0 || n > maxBody {
			return fmt.Errorf("the text has %d characters; it may have 1 to %d", n, maxBody)
		}
		return nil
	}
	w := contentChecker{b: content}
	if w.media = mediaOf(content); w.media != "" {
		w.list = parameters
	} else if !bytes.HasPrefix(content, []byte(templateStart)) {
		return errNotAMessage
	}
	if !w.value(0, nil) || w.i != len(content) {
		if w.err != nil {
			return w.err
		}
		return errNotAMessage
	}
	return w.length()
}

// stringEnd returns the index of the quote that ends the JSON string whose inside b begins with, or -1.
func stringEnd(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return -1
}
