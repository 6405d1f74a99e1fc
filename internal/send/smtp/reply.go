package smtp

import (
	"errors"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"campaignd/internal/display"
)

// reply is a reply of the server (RFC 5321, 4.2).
type reply struct {
	code     int
	enhanced string // RFC 3463, such as 5.1.1; "" if there is none
	text     string // not for results or logs unless redacted
}

func (f *failure) reply() (reply, bool) {
	var e *textproto.Error
	var p textproto.ProtocolError
	if errors.As(f.err, &p) {
		// A code without a text is a valid reply (RFC 5321, 4.2) that package textproto rejects.
		bare := strings.Trim(strings.TrimPrefix(p.Error(), "short response: "), `"`)
		code, err := strconv.ParseUint(bare, 10, 16)
		return reply{code: int(code)}, err == nil && code >= 200 && code < 600
	}
	if !errors.As(f.err, &e) {
		return reply{}, false
	}
	r := reply{code: e.Code, text: e.Msg}
	if first, _, _ := strings.Cut(strings.TrimSpace(e.Msg), " "); enhancedCode(first) && int(first[0]-'0') == e.Code/100 {
		r.enhanced = first
	}
	return r, true
}

// enhancedCode reports whether s has the form class.subject.detail (RFC 3463, 2).
func enhancedCode(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n > 999 || len(p) > 3 {
			return false
		}
	}
	return true
}

// String returns the reply's codes, such as "550 5.1.1".
func (r reply) String() string {
	if r.enhanced == "" {
		return strconv.Itoa(r.code)
	}
	return strconv.Itoa(r.code) + " " + r.enhanced
}

// class returns the subject of the enhanced code, such as "4.7", or "" if there is none or it is
// undefined (x.0.x).
func (r reply) class() string {
	if r.enhanced == "" {
		return ""
	}
	class := r.enhanced[:strings.LastIndexByte(r.enhanced, '.')]
	if strings.HasSuffix(class, ".0") {
		return ""
	}
	return class
}

// throttles reports whether a 4yz refuses our rate or concerns the server, not this message.
func (r reply) throttles() bool {
	switch r.class() {
	case "4.3", "4.4", "4.5", "4.7":
		return true
	case "":
		return r.hasThrottleWords()
	}
	return false
}

// hasThrottleWords reports whether the text speaks of a rate.
func (r reply) hasThrottleWords() bool {
	text := strings.ToLower(r.text)
	for _, word := range []string{"rate", "throttl", "too many", "too fast", "quota", "limit"} {
		for rest := text; ; {
			i := strings.Index(rest, word)
			if i < 0 {
				break
			}
			if i == 0 || rest[i-1] < 'a' || rest[i-1] > 'z' { // "rate", but not "temporate"
				return true
			}
			rest = rest[i+len(word):]
		}
	}
	return false
}

// greylists reports whether a 4yz asks to try this recipient again after a few minutes.
func (r reply) greylists(at step) bool {
	return at == stepRecipient && r.enhanced == "4.7.1" || r.hasGreylistWords()
}

func (r reply) hasGreylistWords() bool {
	text := strings.ToLower(r.text)
	return strings.Contains(text, "greylist") || strings.Contains(text, "graylist")
}

// aboutRecipient reports whether a 4yz concerns the recipient's address or mailbox.
func (r reply) aboutRecipient() bool { return r.class() == "4.1" || r.class() == "4.2" }

// namesRecipient reports whether a 5yz names the recipient as its reason.
func (r reply) namesRecipient() bool {
	switch r.enhanced {
	case "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10":
		return true
	}
	return r.class() == "5.2"
}

// namesSender reports whether a 5yz names our sender as its reason. Many servers check it only at RCPT
// (Postfix, smtpd_delay_reject) or after the message (Exchange).
func (r reply) namesSender() bool {
	switch r.enhanced {
	case "5.1.7", "5.1.8", "5.7.60", "5.2.252": // RFC 3463; Exchange
		return true
	}
	text := strings.ToLower(r.text)
	return strings.Contains(text, "sender address rejected") || strings.Contains(text, "sendasdenied")
}

// namesClient reports whether a 5yz refuses this host or the account, as Postfix does at RCPT and Exchange
// after the message (5.7.705, 5.7.708, 5.7.750).
func (r reply) namesClient() bool {
	switch r.enhanced {
	case "5.7.705", "5.7.708", "5.7.750":
		return true
	}
	text := strings.ToLower(r.text)
	return strings.Contains(text, "client host rejected") || strings.Contains(text, "helo command rejected")
}

// deniesRelay reports whether the server accepts mail only for its own domains. There is no
// code for that, but servers use the word.
func (r reply) deniesRelay() bool {
	return r.enhanced == "5.7.54" || r.enhanced == "5.7.64" || strings.Contains(strings.ToLower(r.text), "relay")
}

// describe returns the reply's codes and their meaning.
func (r reply) describe() string {
	if meaning := r.meaning(); meaning != "" {
		return r.String() + ", " + meaning
	}
	return r.String()
}

// meaning returns the meaning of the enhanced code (RFC 3463, 5248, 7505), "" if it isn't listed.
func (r reply) meaning() string {
	if r.enhanced == "5.4.5" {
		return "a sending limit is reached"
	}
	_, detail, _ := strings.Cut(r.enhanced, ".")
	switch detail {
	case "1.1":
		return "no such mailbox"
	case "1.2":
		return "no such domain"
	case "1.3":
		return "not a valid address"
	case "1.6":
		return "the mailbox has moved"
	case "1.7", "1.8":
		return "the sender's address is not valid"
	case "1.10":
		return "the domain takes no mail"
	case "2.1":
		return "the mailbox is not in use"
	case "2.2":
		return "the mailbox is full"
	case "2.3", "3.4":
		return "the message is too long"
	case "3.1":
		return "the server's disk is full"
	case "3.2":
		return "the server takes no mail now"
	case "4.1", "4.3", "4.4":
		return "the next server can't be reached"
	case "4.2":
		return "the connection is bad"
	case "4.5":
		return "the server is busy, or a limit is reached"
	case "6.7":
		return "non-ASCII letters in the address"
	case "7.0":
		return "for security reasons"
	case "7.1":
		return "by its policy"
	case "7.8":
		return "user name or password is wrong"
	case "7.20", "7.23", "7.26", "7.27":
		return "the message isn't authenticated as required (SPF, DKIM)"
	case "7.28":
		return "too many messages"
	}
	return ""
}

// redacted returns the reply's text without words that could be an address or a phone number, or have a part of
// the address to.
func (r reply) redacted(to string) string {
	text := strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(r.text), r.enhanced)), " ")
	words := strings.Fields(display.HideNumbers(text, 7, "…"))
	local, domain, _ := strings.Cut(strings.ToLower(to), "@")
	parts := strings.FieldsFunc(local, func(b rune) bool { return !unicode.IsLetter(b) && !unicode.IsDigit(b) })
	for i, w := range words {
		digits := 0
		for _, b := range w {
			if unicode.IsDigit(b) {
				digits++
			}
		}
		lower := strings.ToLower(w)
		hasPart := func(part string) bool { return len(part) >= minHidden && strings.Contains(lower, part) }
		if strings.Contains(w, "@") || digits > 6 || hasPart(local) || hasPart(domain) || slices.ContainsFunc(parts, hasPart) {
			words[i] = "…"
		}
	}
	return clip(strings.Join(words, " "))
}

// minHidden is the length from which on a part of an address hides the words with it. Shorter ones are in any text.
const minHidden = 3

// clip limits a text that may come from the server, on one line.
func clip(s string) string { return display.Line(display.Clip(s, 200)) }
