package whatsapp

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Preview implements send.Previewer: the template's own text with the parameters of the message. It
// is nil for free text and while the account's templates aren't known.
func (c *Channel) Preview(content []byte) []string {
	var m message
	if c.templates == nil || json.Unmarshal(content, &m) != nil || m.Template == nil {
		return nil
	}
	meta := c.templates.find(m.Template.Name, m.Template.Language.Code)
	if meta == nil {
		return nil
	}
	return meta.preview(m.Template)
}

// find returns a template of the copy that has its text, or nil.
func (c *templateCache) find(name, language string) *AccountTemplate {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.list {
		if t := &c.list[i]; t.Name == name && t.Language == language && t.BodyText != "" {
			return t
		}
	}
	return nil
}

// preview returns the lines of a message of the template.
func (t *AccountTemplate) preview(p *templatePart) []string {
	given := p.byPlace()
	text := []string{fmt.Sprintf("Template %s (%s)", t.Name, t.Language)}
	switch {
	case t.Header == formatText:
		text = append(text, fill(t.HeaderText, given[kindHeader]))
	case t.Header != "":
		text = append(text, fmt.Sprintf("[%s%s]", strings.ToLower(t.Header), headerMedia(given[kindHeader])))
	}
	text = append(text, fill(t.BodyText, given[kindBody]))
	if t.FooterText != "" {
		text = append(text, t.FooterText)
	}
	for i, b := range t.Buttons {
		shown := b.Text
		if b.URL != "" {
			shown += ": " + fill(b.URL, given[kindButton+strconv.Itoa(i)])
		}
		text = append(text, "["+shown+"]")
	}
	return strings.Split(strings.ReplaceAll(strings.Join(text, "\n"), "\r\n", "\n"), "\n")
}

// fill returns a text with its {{parameters}}, which have names or count from 1. One that the message
// lacks stays as it is.
func fill(text string, c *component) string {
	if c == nil {
		return text
	}
	var pairs []string
	for i, p := range c.Parameters {
		name, named := p["parameter_name"].(string)
		if !named {
			name = strconv.Itoa(i + 1)
		}
		pairs = append(pairs, "{{"+name+"}}", parameterText(p), "{{ "+name+" }}", parameterText(p))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// parameterText returns what a parameter of a text shows.
func parameterText(p map[string]any) string {
	kind, _ := p["type"].(string)
	switch value := p[kind].(type) {
	case string:
		return value
	case map[string]any:
		text, _ := value["fallback_value"].(string)
		return text
	}
	return ""
}

// headerMedia returns where the media of a header are, after a blank, or "".
func headerMedia(c *component) string {
	if c == nil || len(c.Parameters) == 0 {
		return ""
	}
	kind, _ := c.Parameters[0]["type"].(string)
	value, _ := c.Parameters[0][kind].(map[string]any)
	for _, key := range []string{"file", "link", "id", "name"} {
		if text, ok := value[key].(string); ok {
			return " " + text
		}
	}
	return ""
}
