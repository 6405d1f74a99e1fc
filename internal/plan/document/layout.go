package document

import (
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
	Fields      []Field // customFields in the order of the file

	fieldsPosition position // of the customFields object, else of the layout itself
	incomplete     bool     // the value of a custom field was not understood
}

// Field is one custom field: the campaign's variable Name gets Value.
type Field struct {
	Name  string
	Value Text
}

const layoutExample = `{"contact": {"contactCode": "{{contactCode}}", "channelType": "{{channelType}}"}}`

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
	return l, found.problems(file, data), warned.problems(file, data).List
}

func (r *layoutReader) layout(root *node, warned *findingList) *Layout {
	l := &Layout{fieldsPosition: r.place(root)}
	r.keys(root, "", []string{"contact", "customFields"}, func(m *member) bool {
		if m.name != "sendType" && m.name != "messageContent" {
			return false
		}
		warned.add(int(m.at), m.name, "%q belongs to the campaign and is ignored here; remove it from the layout", m.name)
		return true
	})
	contact := r.required(root, "", "contact", `an object with "contactCode" and "channelType"`)
	switch {
	case contact == nil:
	case contact.kind != '{':
		r.wrong(contact, "contact", `an object with "contactCode" and "channelType"`)
	default:
		r.keys(contact, "contact", []string{"contactCode", "channelType"}, nil)
		l.ContactCode = r.contact(contact, "contactCode", warned)
		l.ChannelType = r.contact(contact, "channelType", nil)
	}
	if custom := root.get("customFields"); custom != nil {
		r.customFields(l, custom)
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
			warned.add(int(n.start), field, "has no {{column}}: every row goes to the same contact")
		}
	}
	return t
}

func (r *layoutReader) customFields(l *Layout, custom *node) {
	if custom.kind != '{' {
		r.wrong(custom, "customFields", `an object, e.g. {"name": "{{name}}"}`)
		l.incomplete = true
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
			value = Text{Segments: []campaign.Segment{{Text: string(r.raw(&m.value))}}}
			p := r.place(&m.value)
			value.Line, value.Column = p.line, p.column
		default:
			r.wrong(&m.value, field, `a string, a number, true or false`)
			l.incomplete = true
		}
		l.Fields = append(l.Fields, Field{Name: m.name, Value: value})
	}
}

// parse parses the string n into a Text.
func (r *layoutReader) parse(n *node, field string) (Text, bool) {
	var t Text
	p := r.place(n)
	t.Line, t.Column = p.line, p.column
	var offsets []int
	segments, ok := r.split(n, field, func(_, offset int) { offsets = append(offsets, offset) })
	for i := range segments {
		if segments[i].Variable == "" {
			continue
		}
		segments[i].Variable = nfc(segments[i].Variable)
		line, column := r.at.At(offsets[len(t.References)])
		t.References = append(t.References, Reference{segments[i].Variable, line, column})
	}
	t.Segments = segments
	return t, ok
}

func (r *layoutReader) place(n *node) position {
	line, column := r.at.At(int(n.start))
	return position{line, column}
}

// CheckColumns reports every variable that is no column of the CSV, compared in NFC.
func (l *Layout) CheckColumns(columns []string) campaign.Problems {
	var problems campaign.Problems
	have := make(map[string]bool, len(columns))
	for _, c := range columns {
		have[nfc(c)] = true
	}
	check := func(field string, t Text) {
		for _, ref := range t.References {
			switch {
			case have[ref.Name]:
			case len(problems.List) < campaign.MaxProblems:
				problems.Addf(l.File, ref.Line, ref.Column, field, "the CSV has no column %s%s (its columns: %s)",
					quote(ref.Name), didYouMean(ref.Name, columns), list(columns))
			default: // only counted
				problems.Count++
			}
		}
	}
	check("contact.contactCode", l.ContactCode)
	check("contact.channelType", l.ChannelType)
	for _, f := range l.Fields {
		check(join("customFields", f.Name), f.Value)
	}
	return problems
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
		if have[name] {
			continue
		}
		near := didYouMean(name, names)
		if column := source.Nearest(name, columns); near == "" && column != "" {
			near = fmt.Sprintf(`; did you mean to give it %q?`, "{{"+column+"}}")
		}
		problems.Addf(l.File, l.fieldsPosition.line, l.fieldsPosition.column, "customFields", "the campaign uses {{%s}}, and customFields has no %q%s (it has: %s%s)",
			name, name, near, list(names), from)
	}
	return problems
}
