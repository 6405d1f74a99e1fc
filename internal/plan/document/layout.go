package document

import (
	"cmp"
	"fmt"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/source"
)

// Layout maps a row to a recipient (docs/contract.md 3).
type Layout struct {
	File        string // base name as dropped, for messages
	ContactCode Text
	ChannelType Text
	Reference   Text    // contact.reference, which comes back in results; absent: not Given
	Fields      []Field // customFields in the order of the file

	fieldsPosition position // of the customFields object, else of the layout itself
	fieldsWrong    bool     // customFields is no object or misspelt, which is reported: nobody knows what it has
	incomplete     bool     // the value of a custom field was not understood
}

// Field is one custom field: the campaign's variable Name gets Value.
type Field struct {
	Name  string
	Value Text
}

const layoutExample = `{"contact": {"contactCode": "{{contactCode}}", "channelType": "{{channelType}}"}}`

// layoutKeys returns the keys of a layout, with those that belong to the campaign (docs/contract.md 3).
func layoutKeys() []string { return []string{"contact", "customFields", "sendType", "messageContent"} }

// LooksLikeLayout reports whether data is probably a layout, by the names of its keys.
func LooksLikeLayout(data []byte) bool { return mostly(data, layoutKeys(), SidecarKeys()) }

// layoutReader reads one layout.
type layoutReader struct {
	shape
	at *source.Locator
}

// ParseLayout reads a layout. file is its base name, for messages. The layout is
// nil only where the JSON is broken; with problems.Count > 0 it is partial and only
// serves to find more problems.
func ParseLayout(file string, data []byte) (l *Layout, problems campaign.Problems, warnings []campaign.Problem) {
	var found, warned findingList
	root, ok := parse(&found, data, "layout", layoutExample)
	if ok {
		r := layoutReader{shape{&found, data}, source.NewLocator(data)}
		l = r.layout(&root, &warned)
		l.File = file
	}
	return l, found.Problems(file, data), warned.Problems(file, data).List
}

func (r *layoutReader) layout(root *node, warned *findingList) *Layout {
	l := &Layout{fieldsPosition: r.place(root)}
	r.keys(root, "", []string{"contact", "customFields"}, func(m *member) bool {
		if m.name != "sendType" && m.name != "messageContent" {
			return false
		}
		warned.Add("key-of-campaign", int(m.at), m.name, "%q belongs to the campaign and is ignored here; remove it from the layout", m.name)
		return true
	})
	contact := r.required(root, "", "contact", `an object with "contactCode" and "channelType"`)
	switch {
	case contact == nil:
	case contact.kind != '{':
		r.wrong(contact, "contact", `an object with "contactCode" and "channelType"`)
	default:
		r.keys(contact, "contact", []string{"contactCode", "channelType", "reference"}, nil)
		l.ContactCode = r.contact(contact, "contactCode", warned)
		l.ChannelType = r.contact(contact, "channelType", nil)
		if n := contact.get("reference"); n != nil {
			l.Reference = r.reference(n)
		}
	}
	if custom := root.get("customFields"); custom != nil {
		r.customFields(l, custom)
	} else {
		l.fieldsWrong = root.misspelt("customFields")
	}
	return l
}

// contact reads a required string of the contact object.
func (r *layoutReader) contact(contact *node, name string, warned *findingList) (t Text) {
	field, want := "contact."+name, `a string, e.g. "{{`+name+`}}"`
	n := r.required(contact, "contact", name, want)
	if n == nil {
		return t
	}
	if _, ok := r.str(n, field, want); !ok {
		return t
	}
	t, ok := r.parse(n, field)
	if text, constant := t.Constant(); ok && constant {
		switch {
		case strings.TrimSpace(text) == "":
			r.add(int(n.start), field, "found an empty string, want %s", want)
		case warned != nil:
			warned.Add("contact-fixed", int(n.start), field, "has no {{column}}: every row goes to the same contact")
		}
	}
	return t
}

func (r *layoutReader) customFields(l *Layout, custom *node) {
	if custom.kind != '{' {
		r.wrong(custom, "customFields", `an object, e.g. {"name": "{{name}}"}`)
		l.incomplete, l.fieldsWrong = true, true
		return
	}
	l.fieldsPosition = r.place(custom)
	for i := range custom.members {
		m := &custom.members[i]
		field := join("customFields", m.name)
		var value Text
		switch m.value.kind {
		case '"':
			var ok bool
			value, ok = r.parse(&m.value, field)
			l.incomplete = l.incomplete || !ok
		case '0', 't', 'f':
			value = Text{Segments: []Segment{{Text: string(r.raw(&m.value))}}}
			p := r.place(&m.value)
			value.Line, value.Column = p.line, p.column
		default:
			r.wrong(&m.value, field, `a string, a number, true or false`)
			l.incomplete = true
		}
		l.Fields = append(l.Fields, Field{Name: m.name, Value: value})
	}
}

// reference reads the optional contact.reference.
func (r *layoutReader) reference(n *node) (t Text) {
	const field, want = "contact.reference", `a string, e.g. "{{order}}"`
	if _, ok := r.str(n, field, want); !ok {
		return t
	}
	t, ok := r.parse(n, field)
	if ok && !t.Given() {
		r.add(int(n.start), field, "found an empty string, want %s; leave the key out if there is no reference", want)
	}
	return t
}

// parse parses the string n into a Text.
func (r *layoutReader) parse(n *node, field string) (Text, bool) {
	var t Text
	p := r.place(n)
	t.Line, t.Column = p.line, p.column
	text := r.decoded(n)
	pieces, offset, err := splitLayout(text)
	if err != nil {
		r.splitFaults(n, field, text, offset, err, func(text string) (int, error) {
			_, offset, err := splitLayout(text)
			return offset, err
		})
		return t, false
	}
	lit, ok := literal{raw: r.raw(n), at: 1}, true
	at := func(offset int) (line, column int) { return r.at.At(int(n.start) + lit.offset(offset)) }
	for i, one := range pieces {
		if !one.variable && i > 0 && strings.HasPrefix(one.text, "}") && !strings.Contains(strings.ReplaceAll(text[:one.start], "{{", ""), "{") {
			r.Add("braces-wrong", int(n.start)+lit.offset(one.start), field, "a } too many after {{%s}}", pieces[i-1].text)
			return t, false
		}
		if one.variable {
			t.Segments = append(t.Segments, Segment{Variable: r.variable(one, at)})
			continue
		}
		t.Segments = append(t.Segments, Segment{Text: one.text})
		end := 0 // of the last suspect in braces
		suspects(one.text, func(offset int, whole, name string) {
			line, column := at(one.start + offset)
			t.suspects = append(t.suspects, suspect{whole, nfc(name), line, column})
			if strings.HasSuffix(whole, "}") {
				end = offset + len(whole)
			}
		})
		if i := strings.Index(one.text, "}}"); i >= 0 && (end == 0 || i > end) {
			word := one.text[strings.LastIndexAny(one.text[:i], " \t\n{")+1 : i]
			again := literal{raw: r.raw(n), at: 1} // lit is at the last suspect, which may be behind
			r.Add("braces-wrong", int(n.start)+again.offset(one.start+i), field, `"}}" without "{{" before it; a variable is written {{%s}}`, cmp.Or(word, "name"))
			ok = false
		}
	}
	return t, ok
}

// variable parses the text between the braces. at converts an offset in the text to a
// position in the file.
func (r *layoutReader) variable(one piece, at func(offset int) (line, column int)) *Variable {
	v := &Variable{Name: nfc(one.text)}
	v.Line, v.Column = at(one.start)
	base, filters, fault := parseFilters(one.text)
	v.Base, v.Filters = nfc(base), filters
	if fault != nil {
		v.fault = fault.message
		v.faultLine, v.faultColumn = at(one.inner + fault.offset)
	}
	return v
}

func (r *layoutReader) place(n *node) position {
	line, column := r.at.At(int(n.start))
	return position{line, column}
}

// CheckColumns reports every variable that is no column of the CSV, compared in NFC, every
// wrong filter, and every column's name that is not in the braces of a variable.
func (l *Layout) CheckColumns(columns []string) (problems campaign.Problems, warnings []campaign.Problem) {
	c := columnCheck{file: l.File, columns: columns, have: make(map[string]bool, len(columns)), problems: &problems}
	for _, name := range columns {
		c.have[nfc(name)] = true
	}
	c.text("contact.contactCode", l.ContactCode)
	c.text("contact.channelType", l.ChannelType)
	c.text("contact.reference", l.Reference)
	if word, name := c.bareColumn(l.ContactCode); name != "" {
		problems.AddCode("braces-missing", l.File, l.ContactCode.Line, l.ContactCode.Column, "contact.contactCode",
			"%s is the name of a column, so every row would go to that word; write %s", quote(word), quote("{{"+name+"}}"))
	}
	for _, f := range l.Fields {
		field := join("customFields", f.Name)
		c.text(field, f.Value)
		if word, name := c.bareColumn(f.Value); name != "" {
			warnings = append(warnings, campaign.Problem{Code: "braces-missing", File: l.File, Line: f.Value.Line, Column: f.Value.Column, Field: field,
				Message: fmt.Sprintf("%s is the name of a column and is sent as that word; write %s for the cell", quote(word), quote("{{"+name+"}}"))})
		}
	}
	return problems, warnings
}

// columnCheck compares the texts of a layout with the columns of a CSV.
type columnCheck struct {
	file     string
	columns  []string
	have     map[string]bool // in NFC
	problems *campaign.Problems
}

func (c *columnCheck) text(field string, t Text) {
	for _, s := range t.Segments {
		v := s.Variable
		switch {
		case v == nil || c.have[v.Name]:
		case len(c.problems.List) >= campaign.MaxProblems:
			c.problems.Count++ // only counted
		case v.fault != "":
			c.problems.AddCode("filter-wrong", c.file, v.faultLine, v.faultColumn, field, "%s", v.fault)
		case !c.have[v.Base]:
			c.problems.AddCode("column-unknown", c.file, v.Line, v.Column, field, "the CSV has no column %s%s (its columns: %s)",
				quote(v.Base), didYouMean(v.Base, c.columns), list(c.columns))
		}
	}
	for _, s := range t.suspects {
		base, filters, filtered := strings.Cut(s.name, "|")
		if name := c.column(s.name); name != "" {
			c.problems.AddCode("braces-wrong", c.file, s.line, s.column, field, "%s is not a variable; a variable is written {{%s}}", quote(s.found), name)
		} else if name := c.column(strings.TrimSpace(base)); filtered && name != "" {
			c.problems.AddCode("braces-wrong", c.file, s.line, s.column, field, "%s is not a variable; a variable is written {{%s|%s}}", quote(s.found), name, filters)
		}
	}
}

// column returns the column of a name, without regard to case if there is none that equals it; "" if there is none.
func (c *columnCheck) column(name string) string {
	if c.have[name] {
		return name
	}
	for _, column := range c.columns {
		if column = nfc(column); strings.EqualFold(column, name) {
			return column
		}
	}
	return ""
}

// bareColumn returns t as a word and the column that it names without braces, "" if it is anything else.
func (c *columnCheck) bareColumn(t Text) (word, name string) {
	text, constant := t.Constant()
	if !constant {
		return "", ""
	}
	word = nfc(strings.TrimSpace(text))
	return word, c.column(word)
}

// Value returns the text of a sending's variable: a custom field, or the reference.
func (l *Layout) Value(variable string) (Text, bool) {
	if variable == campaign.ReferenceVariable {
		return l.Reference, true
	}
	for _, f := range l.Fields {
		if f.Name == variable {
			return f.Value, true
		}
	}
	return Text{}, false
}

// Incomplete reports that some value was not understood. Messages rendered with this
// layout would then show the layout's faults, not the rows'.
func (l *Layout) Incomplete() bool {
	return l.incomplete || !l.ContactCode.Given() || !l.ChannelType.Given()
}

// CheckVariables reports every variable of the campaign that customFields lacks.
// columns are the CSV's, for the message; nil if unknown.
func (l *Layout) CheckVariables(needed, columns []string) campaign.Problems {
	var problems campaign.Problems
	names := make([]string, len(l.Fields))
	have := make(map[string]bool, len(l.Fields))
	for i, f := range l.Fields {
		names[i], have[f.Name] = f.Name, true
	}
	from := ""
	if len(columns) > 0 {
		from = fmt.Sprintf("; the CSV's columns: %s", list(columns))
	}
	for _, name := range needed {
		if l.fieldsWrong || have[name] || name == campaign.ReferenceVariable {
			continue
		}
		near := didYouMean(name, names)
		if column := source.Nearest(name, columns); near == "" && column != "" {
			near = fmt.Sprintf(`; did you mean to give it %q?`, "{{"+column+"}}")
		}
		problems.AddCode("variable-missing", l.File, l.fieldsPosition.line, l.fieldsPosition.column, "customFields", "the campaign uses {{%s}}, and customFields has no %q%s (it has: %s%s)",
			name, name, near, list(names), from)
	}
	return problems
}
