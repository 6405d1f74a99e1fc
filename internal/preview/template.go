package preview

import (
	"fmt"
	"html"
	"regexp"
	"strings"
)

// template adds a WhatsApp template: its name, and the parameters of its components. The text
// around the parameters is Meta's.
func (v *view) template(value any) {
	o, ok := value.(*object)
	if !ok {
		v.text("Template: ", value)
		return
	}
	language := o.take("language")
	if l, ok := language.(*object); ok {
		language = l.take("code")
	}
	title := "Template " + plain(orEmpty(o.take("name")))
	if language != nil {
		title += fmt.Sprintf(" (%s)", plain(language))
	}
	v.add("%s", title)
	components, _ := o.take("components").([]any)
	for _, one := range components {
		if c, ok := one.(*object); ok {
			v.component(c)
		} else {
			v.text("", one)
		}
	}
	v.rest(o)
}

func orEmpty(value any) any {
	if value == nil {
		return ""
	}
	return value
}

// component adds the header, body or button of a template.
func (v *view) component(c *object) {
	kind := strings.ToLower(plain(orEmpty(c.take("type"))))
	title := map[string]string{"header": "Header", "body": "Body", "button": "Button"}[kind]
	if title == "" {
		title = kind
	}
	if kind == "button" {
		if index := c.take("index"); index != nil {
			title += " " + buttonNumber(plain(index))
		}
		if sub := c.take("sub_type"); sub != nil {
			title += fmt.Sprintf(" (%s)", strings.ReplaceAll(strings.ToLower(plain(sub)), "_", " "))
		}
	}
	parameters, _ := c.take("parameters").([]any)
	var values []string
	for i, one := range parameters {
		p, ok := one.(*object)
		if !ok {
			values = append(values, plain(one))
			continue
		}
		text := parameter(p, i)
		if kind == "button" || kind == "header" && len(parameters) == 1 {
			_, text, _ = strings.Cut(text, " = ") // a button or header has one
		}
		values = append(values, text)
	}
	v.add("%s: %s", title, strings.Join(values, ", "))
	v.rest(c)
}

// buttonNumber counts from 1, as people do; Meta counts from 0.
func buttonNumber(index string) string {
	if len(index) == 1 && index[0] >= '0' && index[0] <= '9' {
		return fmt.Sprint(int(index[0]-'0') + 1)
	}
	return index
}

// parameter returns "{{1}} = value", or with the parameter's name.
func parameter(p *object, i int) string {
	name := fmt.Sprint(i + 1)
	if given := p.take("parameter_name"); given != nil {
		name = plain(given)
	}
	kind := plain(orEmpty(p.take("type")))
	value := p.take(kind)
	text := plain(orEmpty(value))
	if o, ok := value.(*object); ok {
		text = media(kind, o)
	}
	return fmt.Sprintf("{{%s}} = %s", name, text)
}

// media describes an image, document, video, place, amount or date.
func media(kind string, o *object) string {
	for _, name := range []string{"fallback_value", "file", "link", "id", "name"} {
		if value := o.take(name); value != nil {
			text := plain(value)
			if name != "fallback_value" {
				text = kind + " " + text
			}
			for _, more := range []string{"filename", "caption", "address"} {
				if value := o.take(more); value != nil {
					text += ", " + plain(value)
				}
			}
			return text
		}
	}
	return plain(o)
}

// textOf returns the text of an HTML page, roughly as a reader without HTML shows it.
func textOf(markup string) string {
	hidden := regexp.MustCompile(`(?is)<(style|script|head)\b.*?</(style|script|head)\s*>|<!--.*?-->`)
	breaks := regexp.MustCompile(`(?i)<(br|/p|/div|/h[1-6]|/li|/tr)\b[^>]*>`)
	tags := regexp.MustCompile(`<[^>]*>`)
	text := strings.Join(strings.Fields(hidden.ReplaceAllString(markup, "")), " ")
	text = html.UnescapeString(tags.ReplaceAllString(breaks.ReplaceAllString(text, "\n"), ""))
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
