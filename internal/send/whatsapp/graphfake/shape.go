package graphfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// bodyError is a problem of a body, with Meta's code for it.
type bodyError struct {
	code int
	text string
}

func (w *bodyError) Error() string { return w.text }

func bad(code int, path, format string, args ...any) error {
	return &bodyError{code, path + ": " + fmt.Sprintf(format, args...)}
}

// read parses a request's body strictly.
func read(body []byte) (Message, int, string) {
	m, err := readMessage(body)
	if err == nil {
		return m, 0, ""
	}
	if w, ok := errors.AsType[*bodyError](err); ok {
		return m, w.code, w.text
	}
	return m, 100, err.Error()
}

func readMessage(body []byte) (Message, error) {
	m := Message{Body: body}
	if !utf8.Valid(body) {
		return m, bad(100, "body", "is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return m, fmt.Errorf("body: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return m, bad(100, "body", "has something after its object")
	}
	o, ok := v.(map[string]any)
	if !ok {
		return m, bad(100, "body", "is no object")
	}
	m.Type, _ = o["type"].(string)
	isFile := m.Type == "image" || m.Type == "video" || m.Type == "document"
	if m.Type != "text" && m.Type != "template" && !isFile {
		return m, bad(131051, "type", "%v is not taken here", o["type"])
	}
	if err := keys("body", o, []string{"messaging_product", "recipient_type", "type", m.Type}, []string{"to", "recipient", "biz_opaque_callback_data"}); err != nil {
		return m, err
	}
	if o["messaging_product"] != "whatsapp" || o["recipient_type"] != "individual" {
		return m, bad(100, "body", "messaging_product must be whatsapp, recipient_type individual")
	}
	if err := m.addressee(o); err != nil {
		return m, err
	}
	if raw, has := o["biz_opaque_callback_data"]; has {
		if m.Key, ok = raw.(string); !ok || m.Key == "" || utf8.RuneCountInString(m.Key) > 512 {
			return m, bad(131009, "biz_opaque_callback_data", "is no string of 1 to 512 characters")
		}
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return m, err
	}
	m.Content = whole[m.Type]
	if m.Type == "text" {
		return m, text(o["text"])
	}
	if isFile {
		return m, mediaMessage(m.Type, o[m.Type])
	}
	return m, template(o["template"])
}

// addressee reads "to", a phone number, and "recipient", a user id. Where both are present, "to" wins.
func (m *Message) addressee(o map[string]any) error {
	m.To, _ = o["to"].(string)
	m.UserID, _ = o["recipient"].(string)
	_, hasTo := o["to"]
	_, hasRecipient := o["recipient"]
	switch {
	case !hasTo && !hasRecipient:
		return bad(131008, "body", "to is missing")
	case hasTo && !regexp.MustCompile(`^[0-9]{7,15}$`).MatchString(m.To):
		return bad(131009, "to", "is not 7 to 15 digits in a string")
	case hasRecipient && !regexp.MustCompile(`^[A-Za-z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`).MatchString(m.UserID):
		return bad(131009, "recipient", "is no business-scoped user id")
	}
	return nil
}

// parseValue parses a value and refuses duplicate keys.
func parseValue(dec *json.Decoder, depth int) (any, error) {
	tok, err := dec.Token()
	if err != nil || depth > 32 {
		return nil, fmt.Errorf("can't be read: %v", err)
	}
	switch tok {
	case json.Delim('{'):
		o := map[string]any{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string)
			if _, twice := o[name]; twice {
				return nil, fmt.Errorf("key %q is there twice", name)
			}
			if o[name], err = parseValue(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		l := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err := dec.Token()
		return l, err
	}
	return tok, nil
}

// keys checks that an object has all required keys and no unknown one.
func keys(path string, o map[string]any, need, may []string) error {
	for _, k := range need {
		if _, ok := o[k]; !ok {
			return bad(131008, path, "%s is missing", k)
		}
	}
	known := " " + strings.Join(append(append([]string(nil), need...), may...), " ") + " "
	for k := range o {
		if !strings.Contains(known, " "+k+" ") {
			return bad(100, path, "unexpected key %q", k)
		}
	}
	return nil
}

func text(v any) error {
	o, ok := v.(map[string]any)
	if !ok {
		return bad(100, "text", "is no object")
	}
	if err := keys("text", o, []string{"body"}, []string{"preview_url"}); err != nil {
		return err
	}
	body, ok := o["body"].(string)
	if n := utf8.RuneCountInString(body); !ok || n < 1 || n > 4096 {
		return bad(100, "text.body", "has %d characters; 1 to 4096 are taken", n)
	}
	if p, has := o["preview_url"]; has {
		if _, ok := p.(bool); !ok {
			return bad(100, "text.preview_url", "is no boolean")
		}
	}
	return nil
}

// Validate returns the problem of a request's body, or "".
func Validate(body []byte) string {
	_, _, wrong := read(body)
	return wrong
}
