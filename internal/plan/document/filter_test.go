package document

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkField checks a layout whose custom field is text against a CSV with the columns
// phone, name, "a|first" and first name.
func checkField(t *testing.T, text string) (l *Layout, problems, warnings []string) {
	t.Helper()
	data := fmt.Sprintf(`{"contact":{"contactCode":"{{phone}}","channelType":"sms"},"customFields":{"x":%q}}`, text)
	l, found, warned := ParseLayout("f", []byte(data))
	wrong, more := l.CheckColumns([]string{"phone", "name", "a|first", "first name"})
	found.Merge(wrong)
	return l, lines(found.List), append(lines(warned), lines(more)...)
}

func TestFilters(t *testing.T) {
	columns := []string{"phone", "name", "a|first", "first name"}
	for _, c := range []struct{ text, cell, want string }{
		{"{{name}}", " ana ", " ana "},
		{"{{name|trim}}", " ana ", "ana"},
		{"{{ name | first | title | default : cliente }}", "ANA MARÍA", "Ana"},
		{"{{name|first|title|default:cliente}}", "  ", "cliente"},
		{"{{name|default:dear customer}}", "", "dear customer"},
		{"{{name|default:'it''s | }} '}}", "", "it's | }} "},
		{"{{name|default:'a'|upper}}", "", "A"},
		{"{{name|default:x}}", "\u00a0\t", "x"},
		{"{{name|upper}}", "ñandú ß", "ÑANDÚ ß"},
		{"{{name|lower}}", "ÑANDÚ", "ñandú"},
		{"{{name|title}}", "JEAN-PIERRE o’neill de la cruz", "Jean-Pierre O’neill De La Cruz"},
		{"{{name|title}}", "col·lega", "Col·lega"},
		{"{{name|first}}", "  ana maría ", "ana"},
		{"{{name|first}}", "", ""},
		{"{{name|digits}}", "+34 (600) 11-22", "346001122"},
		{"{{name|upper|lower}}", "Ana", "ana"},
		{"{{first name|upper}}", "Ana", "ANA"},
		{"{{a|first}}", "Ana María", "Ana María"}, // the column of that name
	} {
		l, problems, _ := checkField(t, c.text)
		if len(problems) > 0 {
			t.Errorf("%s: %v", c.text, problems)
			continue
		}
		column, filters := l.Fields[0].Value.Segments[0].Variable.Resolve(columns)
		if column < 0 {
			t.Errorf("%s: no column", c.text)
		}
		if got := string(Apply(filters, nil, []byte(c.cell))); got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.text, c.cell, got, c.want)
		}
	}
}

func TestWrongFiltersAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"Hi {{name|uper}}!":      `f:1:91: customFields.x: unknown filter "uper"; did you mean "upper"? (filters: default, trim, upper, lower, title, first, digits)`,
		"{{name|Upper}}":         `f:1:88: customFields.x: unknown filter "Upper"; did you mean "upper"? (filters: default, trim, upper, lower, title, first, digits)`,
		"{{name|}}":              `f:1:88: customFields.x: no filter after the | (filters: default, trim, upper, lower, title, first, digits)`,
		"{{|upper}}":             `f:1:83: customFields.x: no column before the |`,
		"{{name|default}}":       `f:1:88: customFields.x: default needs a text; write {{column|default:text}}`,
		"{{name|default:}}":      `f:1:88: customFields.x: default needs a text; write {{column|default:text}}`,
		"{{name|default:''}}":    `f:1:88: customFields.x: default needs a text; write {{column|default:text}}`,
		"{{name|default:'a' b}}": `f:1:88: customFields.x: the text of default must end with its quote; a quote in it is written twice`,
		`{{name|default:"a"}}`:   `f:1:88: customFields.x: the text of default begins with a quote of another kind; write {{column|default:text}} or {{column|default:'text'}}`,
		"{{name|upper:x}}":       `f:1:88: customFields.x: the filter upper has no argument; write {{column|upper}}`,
		"{{nam|upper}}":          `f:1:81: customFields.x: the CSV has no column "nam"; did you mean "name"? (its columns: "phone", "name", "a|first", "first name")`,
		"{{name|default:'a}} b":  `f:1:88: customFields.x: the text of default must end with its quote; a quote in it is written twice`,
	} {
		_, problems, _ := checkField(t, text)
		if diff := cmp.Diff([]string{want}, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestWrongBracesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"Hi {name}":                  `f:1:84: customFields.x: "{name}" is not a variable; a variable is written {{name}}`,
		"Hi { name }":                `f:1:84: customFields.x: "{ name }" is not a variable; a variable is written {{name}}`,
		"${name}":                    `f:1:81: customFields.x: "${name}" is not a variable; a variable is written {{name}}`,
		"%name%":                     `f:1:81: customFields.x: "%name%" is not a variable; a variable is written {{name}}`,
		"10% for %name%":             `f:1:89: customFields.x: "%name%" is not a variable; a variable is written {{name}}`,
		"[[name]]":                   `f:1:81: customFields.x: "[[name]]" is not a variable; a variable is written {{name}}`,
		"<<first name>>":             `f:1:81: customFields.x: "<<first name>>" is not a variable; a variable is written {{first name}}`,
		"｛｛name｝｝":                   `f:1:81: customFields.x: "｛｛name｝｝" is not a variable; a variable is written {{name}}`,
		"Hi {NAME}":                  `f:1:84: customFields.x: "{NAME}" is not a variable; a variable is written {{name}}`,
		"[offer for {name}]":         `f:1:92: customFields.x: "{name}" is not a variable; a variable is written {{name}}`,
		"[name]":                     `f:1:81: customFields.x: "[name]" is not a variable; a variable is written {{name}}`,
		"<%= name %>":                `f:1:81: customFields.x: "<%= name %>" is not a variable; a variable is written {{name}}`,
		"*|NAME|*":                   `f:1:81: customFields.x: "*|NAME|*" is not a variable; a variable is written {{name}}`,
		"«name»":                     `f:1:81: customFields.x: "«name»" is not a variable; a variable is written {{name}}`,
		"((name))":                   `f:1:81: customFields.x: "((name))" is not a variable; a variable is written {{name}}`,
		"<p>name}}</p>":              `f:1:88: customFields.x: "}}" without "{{" before it; a variable is written {{<p>name}}`,
		"{name|upper}":               `f:1:81: customFields.x: "{name|upper}" is not a variable; a variable is written {{name|upper}}`,
		"{{name}}}":                  `f:1:89: customFields.x: a } too many after {{name}}`,
		"Hi name}}":                  `f:1:88: customFields.x: "}}" without "{{" before it; a variable is written {{name}}`,
		"{{name}} and {name} follow": `f:1:94: customFields.x: "{name}" is not a variable; a variable is written {{name}}`,
	} {
		_, problems, _ := checkField(t, text)
		if diff := cmp.Diff([]string{want}, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"{other}", "100 %", "10% a 20%", "{}", "[[]]", "<<x>>", "a } b", "{ {", "50% of %", "{id: {{name}}}", "[other]", "<b>Hi</b>", "(name)", "a < b > c", "«Hi»"} {
		if _, problems, _ := checkField(t, text); len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

func TestColumnWithoutBraces(t *testing.T) {
	_, problems, warnings := checkField(t, " name ")
	want := []string{`f:1:80: customFields.x: "name" is the name of a column and is sent as that word; write "{{name}}" for the cell`}
	if diff := cmp.Diff(want, warnings); diff != "" || len(problems) > 0 {
		t.Errorf("warnings (-want +got), problems %v:\n%s", problems, diff)
	}
	l, _, _ := ParseLayout("f", []byte(`{"contact":{"contactCode":"phone","channelType":"sms"}}`))
	found, _ := l.CheckColumns([]string{"phone", "sms"})
	want = []string{`f:1:27: contact.contactCode: "phone" is the name of a column, so every row would go to that word; write "{{phone}}"`}
	if diff := cmp.Diff(want, lines(found.List)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestReferenceOfARow(t *testing.T) {
	for data, want := range map[string]string{
		`"{{order}}"`:   "",
		`"o-{{order}}"`: "",
		`""`:            `contact.reference: found an empty string`,
		`7`:             `contact.reference: found a number, want a string`,
		`null`:          `contact.reference: found null, want a string`,
	} {
		l, problems, _ := ParseLayout("f", []byte(`{"contact":{"contactCode":"{{phone}}","channelType":"sms","reference":`+data+`}}`))
		got := strings.Join(lines(problems.List), "\n")
		if !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
		if l.Reference.Given() != (want == "") {
			t.Errorf("%s: Given is %v", data, l.Reference.Given())
		}
	}
}

// FuzzFilters checks that any text between braces is resolved or refused.
func FuzzFilters(f *testing.F) {
	for _, text := range []string{"name|first|title|default:x", "name | default : 'a '' | }} b'", "|", "a||", "name|default:'", "name|digits:",
		"name|default:''''", "name|default:'a'b'", "a|b|first", "name\u00a0|\u2003title", "name|default:{{x}}", "name|Title", "'a|b'|first", "name|default: |", "e\u0301|upper"} {
		f.Add(text, "Ana  María")
	}
	f.Fuzz(func(t *testing.T, text, cell string) {
		base, filters, fault := parseFilters(text)
		if fault != nil {
			if fault.message == "" {
				t.Errorf("%q: fault.message is empty", text)
			}
			if fault.offset < 0 {
				t.Errorf("%q: fault.offset = %v, want at least 0", text, fault.offset)
			}
			if fault.offset > len(text) {
				t.Errorf("%q: fault.offset = %v, want at most %v", text, fault.offset, len(text))
			}
			return
		}
		if base == "" {
			t.Errorf("%q: no column", text)
		}
		for _, filter := range filters {
			if (filter.Name == "default") != (filter.Argument != "") {
				t.Errorf("%q: filter %+v", text, filter)
			}
		}
		Apply(filters, nil, []byte(cell))
	})
}
