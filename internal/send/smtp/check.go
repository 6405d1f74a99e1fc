package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a message. The mail server has its own limit (SIZE); these catch mistakes at intake.
const (
	maxSubject = 255     // characters
	maxContent = 5 << 20 // bytes of the rendered content
)

var errNotAMessage = errors.New("the content isn't a message of this channel")

// CheckMessage implements send.Channel. It relies on Compile's order of keys, reads
// no further than necessary, and doesn't allocate for a valid message.
func (c *Channel) CheckMessage(contactCode, content []byte) error {
	if err := checkAddress(contactCode); err != nil {
		return err
	}
	if len(content) > maxContent {
		return fmt.Errorf("the message has %d bytes; it may have %d", len(content), maxContent)
	}
	rest, ok := bytes.CutPrefix(content, []byte(`{"subject":"`))
	end := stringEnd(rest)
	if !ok || end < 0 {
		return errNotAMessage
	}
	if err := checkSubject(rest[:end]); err != nil {
		return err
	}
	rest = rest[end+1:]
	if from, ok := bytes.CutPrefix(rest, []byte(`,"from":"`)); ok {
		if end = stringEnd(from); end < 0 {
			return errNotAMessage
		}
		rest = from[end+1:]
	}
	if text, ok := bytes.CutPrefix(rest, []byte(`,"text":"`)); ok {
		if text = trimBlank(text); len(text) == 0 || text[0] != '"' {
			return nil
		}
		rest = text[1:]
	}
	if html, ok := bytes.CutPrefix(rest, []byte(`,"html":"`)); ok {
		if html = trimBlank(html); len(html) == 0 || html[0] != '"' {
			return nil
		}
	}
	return errors.New("the message is empty: its text and its html are blank")
}

// checkSubject returns an error unless raw, the inside of a JSON string, is one line of text.
func checkSubject(raw []byte) error {
	chars, blank := 0, true
	for i := 0; i < len(raw); chars++ {
		r, size := rune(raw[i]), 1
		switch {
		case r == '\\' && i+1 < len(raw) && raw[i+1] != '"' && raw[i+1] != '\\':
			return errSubject(raw[i+1]) // only control characters are escaped like this
		case r == '\\':
			size = 2
		case r >= utf8.RuneSelf:
			r, size = utf8.DecodeRune(raw[i:])
		}
		if control(r) {
			return errSubject(0)
		}
		blank = blank && r == ' '
		i += size
	}
	switch {
	case blank:
		return errors.New("the subject is empty")
	case chars > maxSubject:
		return fmt.Errorf("the subject has %d characters; it may have %d", chars, maxSubject)
	}
	return nil
}

func errSubject(escaped byte) error {
	what := "a control character"
	switch escaped {
	case 'n', 'r':
		what = "a line break"
	case 't':
		what = "a tab"
	}
	return fmt.Errorf("the subject contains %s; it must be one line of text", what)
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

// trimBlank returns b without leading blanks, spaces and escaped line ends and tabs.
func trimBlank(b []byte) []byte {
	for len(b) > 0 {
		switch {
		case b[0] == ' ':
			b = b[1:]
		case len(b) > 1 && b[0] == '\\' && strings.IndexByte("nrt", b[1]) >= 0:
			b = b[2:]
		default:
			return b
		}
	}
	return b
}
