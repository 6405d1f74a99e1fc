package smtp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/source"
)

// content is a rendered message of this channel. CheckMessage relies on the order of its fields.
type content struct {
	Subject string `json:"subject"`
	From    string `json:"from,omitempty"`
	Text    string `json:"text,omitempty"`
	HTML    string `json:"html,omitempty"`
}

// itemKeys returns the keys that an item may have.
func itemKeys() []string { return []string{"subject", "text", "html", "from"} }

const itemExample = `{"subject": "Hello {{name}}", "text": "…", "html": "<p>…</p>"}`

// Compile implements send.Channel. An item is {"subject", "text", "html", "from"}, all of
// them strings. The subject and one of text and html are required. Cells are escaped in
// the html. from is a fixed address of the channel's own domain for this item. The error
// lists every problem.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	// Compiling the original item first gives errors with the places in it.
	if _, err := campaign.Compile(item, names, nil); err != nil {
		return nil, err
	}
	parsed, problems := parseItem(item)
	if _, err := c.composer.sender(parsed.From); err != nil {
		problems = append(problems, err.Error())
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	var ordered bytes.Buffer
	enc := json.NewEncoder(&ordered)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(parsed); err != nil {
		return nil, fmt.Errorf("write message content: %w", err)
	}
	return campaign.Compile(ordered.Bytes(), names, func(path string) campaign.Escape {
		if path == "html" {
			return escapeHTML
		}
		return nil
	})
}

// parseItem parses an item and lists its problems.
func parseItem(item json.RawMessage) (c content, problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	var values map[string]json.RawMessage
	if err := json.Unmarshal(item, &values); err != nil {
		bad("message content must be a JSON object such as %s", itemExample)
		return c, problems
	}
	fields := map[string]*string{"subject": &c.Subject, "text": &c.Text, "html": &c.HTML, "from": &c.From}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field, known := fields[key]
		if !known {
			hint := source.DidYouMean(key, itemKeys())
			if hint == "" && key == "body" {
				hint = `; an email has "text" and "html"`
			}
			bad("unknown key %q: an email has %s%s", key, strings.Join(itemKeys(), ", "), hint)
			continue
		}
		var s *string
		if err := json.Unmarshal(values[key], &s); err != nil || s == nil {
			bad("%s: must be a string in quotes", key)
			*field = "?" // present, though wrong
			continue
		}
		*field = *s
	}
	switch {
	case strings.TrimSpace(c.Subject) == "":
		bad(`has no subject: write one, such as "subject": "Hello {{name}}"`)
	case strings.ContainsFunc(c.Subject, control):
		bad("subject: contains a line break or another control character; it must be one line")
	}
	if strings.TrimSpace(c.Text) == "" && strings.TrimSpace(c.HTML) == "" {
		bad(`has neither text nor html: write at least one of them, such as %s`, itemExample)
	}
	return c, problems
}

// escapeHTML appends value, escaped for text between tags and in a quoted attribute.
func escapeHTML(dst, value []byte) []byte {
	for _, b := range value {
		switch b {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}
