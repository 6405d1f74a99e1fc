// Package preview shows a message as its recipient sees it: the text with its variables
// filled, the header, body and buttons of a WhatsApp template, the subject and text of an
// email. JSON appears only for parts that no channel gives a meaning.
//
// It exists because `check`, `drop`, `campaign`, `show` and report.txt print the same view.
// It reads the shape of an item (docs/contract.md 6) and knows no driver, so it also shows
// items that no driver has compiled, with their {{variables}}. It can't fail: what isn't a
// JSON object is shown as it is.
package preview

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"campaignd/internal/campaign"
)

// List returns the lines of several messages of a drop, each under a line with its recipient.
func List(messages []campaign.Preview) []string {
	var out []string
	for _, m := range messages {
		out = append(out, fmt.Sprintf("line %d, to %s on %s, message %d:", m.Line, m.ContactCode, m.ChannelType, m.Message))
		lines := m.Text
		if lines == nil {
			lines = Message(m.Content)
		}
		for _, line := range lines {
			out = append(out, "  "+line)
		}
	}
	return out
}

// Message returns the lines of one item of messageContent, rendered or not.
func Message(item string) []string {
	whole, err := parse([]byte(item))
	if err != nil {
		return splitLines(item)
	}
	v := view{}
	v.text("Subject: ", whole.take("subject"))
	v.text("From: ", whole.take("from"))
	v.template(whole.take("template"))
	text, html := whole.take("text"), whole.take("html")
	v.body(text)
	switch markup, ok := html.(string); {
	case html == nil:
	case !ok:
		v.text("html: ", html)
	case text == nil || text == "":
		v.add("%s", textOf(markup))
	default:
		v.add("(also as HTML)")
	}
	v.body(whole.take("body"))
	for _, kind := range []string{"image", "video", "document"} {
		if o, ok := whole.take(kind).(*object); ok {
			v.add("%s", media(kind, o))
		}
	}
	if kind, ok := whole.member("type"); ok && (kind == "text" || kind == "template" || kind == "image" || kind == "video" || kind == "document") {
		whole.take("type") // Meta's name for what is shown already
	}
	v.rest(whole)
	return v.lines
}

// view collects the lines of one message.
type view struct{ lines []string }

func (v *view) add(format string, args ...any) {
	v.lines = append(v.lines, splitLines(fmt.Sprintf(format, args...))...)
}

// text adds a labeled value, if there is one.
func (v *view) text(label string, value any) {
	if value != nil && value != "" {
		v.add("%s%s", label, plain(value))
	}
}

// body adds the text of a message: a string, or Meta's {"body": …}.
func (v *view) body(value any) {
	if o, ok := value.(*object); ok {
		v.body(o.take("body"))
		o.take("preview_url") // how the text is shown, not what it says
		v.rest(o)
		return
	}
	v.text("", value)
}

// rest adds the members that have not been taken, as JSON.
func (v *view) rest(o *object) {
	for _, m := range o.members {
		v.add("%s: %s", m.name, plain(m.value))
	}
}

// splitLines splits a text into lines without their ends.
func splitLines(s string) []string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	return strings.Split(strings.TrimRight(s, "\n"), "\n")
}

// plain returns a string as it is and any other value as JSON.
func plain(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(b.String())
}
