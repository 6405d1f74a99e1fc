package smtp

import (
	"errors"
	"net/textproto"
	"strconv"
	"strings"
	"unicode"
)

// reply is the server's word (RFC 5321, 4.2).
type reply struct {
	code     int
	enhanced string // RFC 3463, such as 5.1.1; "" if there is none
	text     string // must reach nobody unless it can't be about a contact
}

func (f *failure) reply() (reply, bool) {
	var e *textproto.Error
	var p textproto.ProtocolError
	if errors.As(f.err, &p) {
		// A code without a text is a reply (RFC 5321, 4.2), but not to package textproto.
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

// enhancedCode reports whether s is class.subject.detail.
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

// String is the reply's codes.
func (r reply) String() string {
	if r.enhanced == "" {
		return strconv.Itoa(r.code)
	}
	return strconv.Itoa(r.code) + " " + r.enhanced
}

// throttles reports whether the server says that we are too fast, not that this message must wait.
func (r reply) throttles() bool {
	return r.enhanced == "4.7.28" || r.code == 421 && strings.HasPrefix(r.enhanced, "4.7.")
}

// deniesRelay reports whether the server takes mail for its own people alone. There
// is no code for that; servers agree on the word.
func (r reply) deniesRelay() bool {
	return r.enhanced == "5.7.54" || r.enhanced == "5.7.64" || strings.Contains(strings.ToLower(r.text), "relay")
}

// words are the reply's codes and what they stand for.
func (r reply) words() string {
	if meaning := r.meaning(); meaning != "" {
		return r.String() + ", " + meaning
	}
	return r.String()
}

// meaning is what the enhanced code stands for (RFC 3463, 5248, 7505), "" where that is nothing plain.
func (r reply) meaning() string {
	if r.enhanced == "" {
		return ""
	}
	switch r.enhanced[2:] {
	case "1.1":
		return "no such mailbox"
	case "1.2":
		return "no such domain"
	case "1.3":
		return "no address as it must be"
	case "1.6":
		return "the mailbox has moved"
	case "1.7", "1.8":
		return "the sender's address is not good"
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
	case "4.5", "4.2":
		return "the server is busy"
	case "6.7":
		return "letters beyond ASCII in the address"
	case "7.0":
		return "for reasons of security"
	case "7.1":
		return "by its policy"
	case "7.8":
		return "user name or password are wrong"
	case "7.26", "7.27", "7.20", "7.23":
		return "the message isn't authenticated as it wants (SPF, DKIM)"
	case "7.28":
		return "too many messages"
	}
	return ""
}

// said is what the server says of us, without what could be an address or a number of a person.
func (r reply) said() string {
	text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(r.text), r.enhanced))
	words := strings.Fields(text)
	for i, w := range words {
		digits := 0
		for _, b := range w {
			if unicode.IsDigit(b) {
				digits++
			}
		}
		if strings.Contains(w, "@") || digits > 6 {
			words[i] = "…"
		}
	}
	return clip(strings.Join(words, " "))
}

// clip cuts words that may come from the server.
func clip(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}
