package whatsapp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"campaignd/internal/display"
	"campaignd/internal/source"
)

// freeTextWarning is the doubt about every free text.
const freeTextWarning = "WhatsApp delivers free text only to contacts who wrote to this number in the last 24 hours; use a template for all others"

// freeMediaWarning is the doubt about every file without a template.
const freeMediaWarning = "WhatsApp delivers a file without a template only to contacts who wrote to this number in the last 24 hours; use a template for all others"

// CheckItem implements send.ItemChecker: a template must be in the account as the item uses it
// (docs/contract.md 6).
func (c *Channel) CheckItem(ctx context.Context, item json.RawMessage) (warnings []string, err error) {
	canonical, err := normalize(item)
	if err != nil {
		return nil, err
	}
	var m message
	if err := json.Unmarshal(canonical, &m); err != nil {
		return nil, fmt.Errorf("read message content: %w", err)
	}
	switch {
	case m.Text == nil && m.Template == nil:
		return []string{freeMediaWarning}, nil
	case m.Template == nil:
		return []string{freeTextWarning}, nil
	case c.templates == nil:
		return nil, nil
	case hasVariable(m.Template.Name) || hasVariable(m.Template.Language.Code):
		return []string{"the template's name or language differs from row to row, so it isn't compared with the templates of the account"}, nil
	}
	list, known, doubt := c.templates.current(ctx)
	switch {
	case !known:
		return []string{"the template isn't compared with the templates of the account: " + doubt}, nil
	case doubt != "":
		warnings = append(warnings, "the template is compared with an earlier copy of the account's templates: "+doubt)
	}
	return warnings, m.Template.compare(list)
}

// compare returns how an item's template differs from the account's.
func (t *templatePart) compare(list []AccountTemplate) error {
	var names, languages []string
	for i := range list {
		one := &list[i]
		if one.Name == t.Name && one.Language == t.Language.Code {
			return t.compareWith(one)
		}
		if one.Name == t.Name {
			languages = append(languages, one.Language)
		}
		if !slices.Contains(names, one.Name) {
			names = append(names, one.Name)
		}
	}
	if len(languages) > 0 {
		return fmt.Errorf("the account has the template %q in %s, not in %s", t.Name, strings.Join(languages, ", "), t.Language.Code)
	}
	return fmt.Errorf("the account has no template %q%s", t.Name, source.DidYouMean(t.Name, names))
}

func (t *templatePart) compareWith(meta *AccountTemplate) error {
	if meta.Status != statusApproved {
		return fmt.Errorf("the template %q (%s) is %s at Meta, and only an approved one can be sent", t.Name, t.Language.Code, meta.Status)
	}
	var problems []string
	given := t.byPlace()
	add := func(text string) {
		if text != "" {
			problems = append(problems, text)
		}
	}
	add(compareHeader(given[kindHeader], meta))
	add(compareParameters(kindBody, given[kindBody], meta.InBody, meta.Named))
	for i, b := range meta.Buttons {
		add(compareButton(i, given[kindButton+strconv.Itoa(i)], b))
	}
	for i := range t.Components {
		if c := &t.Components[i]; c.Type == kindButton {
			if n, err := strconv.Atoi(c.Index); err == nil && n >= len(meta.Buttons) {
				add(fmt.Sprintf("the campaign has a button %s; the template has %d, counted from 0", c.Index, len(meta.Buttons)))
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("the template %q (%s) is different at Meta: %s", t.Name, t.Language.Code, strings.Join(problems, "; "))
}

// byPlace returns the components by type and, of buttons, index.
func (t *templatePart) byPlace() map[string]*component {
	given := map[string]*component{}
	for i := range t.Components {
		c := &t.Components[i]
		given[c.Type+c.Index] = c
	}
	return given
}

// compareHeader compares a header, which is nil if the item has none or one without parameters.
func compareHeader(c *component, meta *AccountTemplate) string {
	format := meta.Header
	if format == "" || format == formatText {
		if c == nil || len(meta.InHeader) > 0 && isTextual(c.Parameters[0]["type"]) {
			return compareParameters(kindHeader, c, meta.InHeader, meta.Named)
		}
		if format == "" {
			return fmt.Sprintf("the campaign has a header with %v, and the template has no header", c.Parameters[0]["type"])
		}
		if len(meta.InHeader) == 0 {
			return fmt.Sprintf("the campaign has a header with %v, and the template's header is a text without parameters", c.Parameters[0]["type"])
		}
		return fmt.Sprintf("the campaign's header has %v, the template's a text", c.Parameters[0]["type"])
	}
	want := strings.ToLower(format)
	switch {
	case c == nil:
		return fmt.Sprintf("its header needs %s, and the campaign has none", article(want))
	case c.Parameters[0]["type"] != want:
		return fmt.Sprintf("its header needs %s, and the campaign has %v", article(want), c.Parameters[0]["type"])
	}
	return ""
}

func isTextual(kind any) bool { return kind == "text" || kind == "currency" || kind == "date_time" }

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// compareParameters compares the parameters of a header or body with the names that Meta has.
func compareParameters(kind string, c *component, want []string, named bool) string {
	var got []string
	count := 0
	if c != nil {
		count = len(c.Parameters)
		for _, p := range c.Parameters {
			if name, ok := p["parameter_name"].(string); ok {
				got = append(got, name)
			}
		}
	}
	if count != len(want) {
		has := "none"
		if len(want) > 0 {
			has = fmt.Sprintf("%d (%s)", len(want), strings.Join(want, ", "))
		}
		return fmt.Sprintf("the campaign's %s has %s, the template's %s", kind, display.Amount(count, "parameter"), has)
	}
	switch {
	case count == 0:
	case named && len(got) == 0:
		return fmt.Sprintf("the parameters of its %s have names: give each a parameter_name (%s)", kind, strings.Join(want, ", "))
	case !named && len(got) > 0:
		return fmt.Sprintf("the parameters of its %s are numbered: leave parameter_name out", kind)
	case named:
		for _, name := range got {
			if !slices.Contains(want, name) {
				return fmt.Sprintf("its %s has no parameter %q; it has: %s", kind, name, strings.Join(want, ", "))
			}
		}
	}
	return ""
}

func compareButton(i int, c *component, meta AccountButton) string {
	kind := strings.ToLower(meta.Type)
	switch {
	case c == nil && meta.needsParameter():
		return fmt.Sprintf("its button %d (%s) needs a parameter, and the campaign has none", i, kind)
	case c == nil:
	case !meta.takes(c.SubType):
		return fmt.Sprintf("its button %d is %s, the campaign's is %s", i, kind, c.SubType)
	case meta.Type == "URL" && !meta.Dynamic && len(c.Parameters) > 0:
		return fmt.Sprintf("the address of its button %d has no parameter, and the campaign gives one", i)
	}
	return ""
}
