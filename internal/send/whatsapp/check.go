package whatsapp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// These are the rules that Meta holds each message to, looked at row by row
// before anything is sent: it would answer with 100 or 132018 for each.

var errNotOurs = errors.New("the content is no message of this channel")

// text is what a JSON string comes to.
type text struct {
	raw    []byte // between the quotes, escapes as they are
	chars  int
	spaces int  // the longest run of them
	breaks bool // holds a line break
	tabs   bool
}

// measure reads what stands between a JSON string's quotes.
func measure(raw []byte) text {
	t := text{raw: raw}
	run := 0
	for i := 0; i < len(raw); t.chars++ {
		b := raw[i]
		size := 1
		switch {
		case b == '\\' && i+1 < len(raw):
			b, size = escape(raw[i:])
		case b >= 0x80: // the bytes that follow in a character are not counted
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

// escape reads the escape that raw begins with: a stand-in for its character, and its
// length. Two halves of a surrogate pair are one.
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

// checkParameter is the rule for a template's text parameter.
func checkParameter(t text) error {
	switch {
	case t.chars == 0:
		return errors.New("is empty; a template's text must not be")
	case t.breaks:
		return errors.New("holds a line break, which a template's text must not")
	case t.tabs:
		return errors.New("holds a tab, which a template's text must not")
	case t.spaces > 4:
		return fmt.Errorf("holds %d spaces in a row; a template's text may hold 4", t.spaces)
	}
	return nil
}

func checkFilled(t text) error {
	if t.chars == 0 {
		return errors.New("is empty")
	}
	return nil
}

// templateName is the rule for the names of templates and parameters.
func templateName(name []byte) bool {
	for _, b := range name {
		if !(b == '_' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9') {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 512
}

// languageCode is the form of Meta's codes: es, fil, en_US, zh_HK, es_419.
func languageCode(code []byte) bool {
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

func webLink(link []byte) bool {
	for _, scheme := range []string{"https://", "http://"} {
		if rest, ok := bytes.CutPrefix(link, []byte(scheme)); ok && len(rest) > 0 && !bytes.ContainsAny(rest, " \\\"") {
			return true
		}
	}
	return false
}

// The beginnings of what Compile makes.
const (
	textStart     = `{"type":"text","text":{"body":"`
	templateStart = `{"type":"template","template":{`
)

// checkContent holds a rendered content to Meta's rules. It allocates nothing
// for one that is fine. The error names the place and no value.
func checkContent(content []byte) error {
	if rest, ok := bytes.CutPrefix(content, []byte(textStart)); ok {
		end := stringEnd(rest)
		if end < 0 {
			return errNotOurs
		}
		if n := measure(rest[:end]).chars; n == 0 || n > maxBody {
			return fmt.Errorf("the text has %d characters; it may have 1 to %d", n, maxBody)
		}
		return nil
	}
	if !bytes.HasPrefix(content, []byte(templateStart)) {
		return errNotOurs
	}
	w := walker{b: content}
	if !w.value(0, nil) || w.i != len(content) {
		if w.err != nil {
			return w.err
		}
		return errNotOurs
	}
	return w.length()
}

// stringEnd is where the string that b is the inside of ends, -1 if it doesn't.
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
