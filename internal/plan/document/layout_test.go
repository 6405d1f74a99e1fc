package document

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// lines are problems as a person reads them.
func lines(list []campaign.Problem) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

const contact = `"contact":{"contactCode":"{{contactCode}}","channelType":"cloud_api"}`

func TestParseLayout(t *testing.T) {
	l, problems, warnings := ParseLayout("a.layout.json", []byte(`{
  "contact": {"contactCode": "{{ phone }}", "channelType": "{{channel}}"},
  "customFields": {"a": "Dear {{first}} {{ last }}!", "b": 12.50, "c": false, "d": "", "e": "\u00e9\ud83d\ude00{{tel\u0065\u0301fono}}", "f": "{ } } {"}
}`))
	if problems.Count > 0 {
		t.Fatalf("problems.Count = %v, want 0", problems.Count)
	}
	if len(warnings) > 0 {
		t.Fatalf("len(warnings) = %v, want 0: %+v", len(warnings), warnings)
	}
	want := &Layout{
		File:        "a.layout.json",
		ContactCode: Text{Segments: []Segment{{Variable: &Variable{Name: "phone", Base: "phone", Line: 2, Column: 31}}}, Line: 2, Column: 30},
		ChannelType: Text{Segments: []Segment{{Variable: &Variable{Name: "channel", Base: "channel", Line: 2, Column: 61}}}, Line: 2, Column: 60},
		Fields: []Field{
			{"a", Text{Segments: []Segment{{Text: "Dear "}, {Variable: &Variable{Name: "first", Base: "first", Line: 3, Column: 31}}, {Text: " "},
				{Variable: &Variable{Name: "last", Base: "last", Line: 3, Column: 41}}, {Text: "!"}}, Line: 3, Column: 25}},
			{"b", Text{Segments: []Segment{{Text: "12.50"}}, Line: 3, Column: 60}},
			{"c", Text{Segments: []Segment{{Text: "false"}}, Line: 3, Column: 72}},
			{"d", Text{Line: 3, Column: 84}},
			{"e", Text{Segments: []Segment{{Text: "é😀"}, {Variable: &Variable{Name: "teléfono", Base: "teléfono", Line: 3, Column: 112}}}, Line: 3, Column: 93}},
			{"f", Text{Segments: []Segment{{Text: "{ } } {"}}, Line: 3, Column: 143}},
		},
		fieldsPosition: position{3, 19},
	}
	if diff := cmp.Diff(want, l, cmp.AllowUnexported(Layout{}, position{}, Text{}, Variable{}, suspect{})); diff != "" {
		t.Errorf("layout (-want +got):\n%s", diff)
	}
	switch text, ok := l.Fields[1].Value.Constant(); {
	case !ok:
		t.Errorf("Constant of a number = %q, %v", text, ok)
	case text != "12.50":
		t.Errorf("text = %q, want \"12.50\"", text)
	}
	switch text, ok := l.Fields[3].Value.Constant(); {
	case !ok:
		t.Errorf("Constant of an empty string = %q, %v", text, ok)
	case text != "":
		t.Errorf("text = %q, want none", text)
	}
	if _, ok := l.Fields[0].Value.Constant(); ok {
		t.Error("a text with variables is no constant")
	}
	if got := l.Fields[0].Value.Variables(); !slices.Equal(got, []string{"first", "last"}) {
		t.Errorf("Variables = %q", got)
	}
}

func TestParseLayoutProblems(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string // each without the file's name; a warning with "warning: " before it
	}{
		{"minimal", `{` + contact + `}`, nil},
		{"BOM", "\ufeff{" + contact + "}", nil},
		{"empty file", " \n", []string{`1:1: the file is empty; a layout is a JSON object, e.g. ` + layoutExample}},
		{"no object", `"x"`, []string{`1:1: found a string, want a JSON object, e.g. ` + layoutExample}},
		{"UTF-16", "\xff\xfe{\x00}\x00", []string{`1:1: the file is UTF-16; save it as UTF-8`}},
		{"misspelt keys are not missing as well", `{"contact":{"contactcode":"{{a}}","chanelType":"sms"},"reference":"x"}`, []string{
			`1:13: contact.contactcode: unknown key "contactcode"; did you mean "contactCode"? (known here: "contactCode", "channelType", "reference")`,
			`1:35: contact.chanelType: unknown key "chanelType"; did you mean "channelType"? (known here: "contactCode", "channelType", "reference")`,
			`1:55: reference: unknown key "reference" (known here: "contact", "customFields")`}},
		{"contact missing", `{}`, []string{`1:1: contact: the key "contact" is missing, want an object with "contactCode" and "channelType"`}},
		{"contact null", `{"contact":null}`, []string{`1:12: contact: found null, want an object with "contactCode" and "channelType"`}},
		{"contact a string", `{"contact":"a"}`, []string{`1:12: contact: found a string, want an object with "contactCode" and "channelType"`}},
		{"both keys missing", `{"contact":{}}`, []string{
			`1:12: contact.contactCode: the key "contactCode" is missing, want a string, e.g. "{{contactCode}}"`,
			`1:12: contact.channelType: the key "channelType" is missing, want a string, e.g. "{{channelType}}"`}},
		{"wrong types", `{"contact":{"contactCode":34666,"channelType":["a"]}}`, []string{
			`1:27: contact.contactCode: found a number, want a string, e.g. "{{contactCode}}", in double quotes`,
			`1:47: contact.channelType: found an array, want a string, e.g. "{{channelType}}"`}},
		{"empty strings", `{"contact":{"contactCode":"","channelType":" "}}`, []string{
			`1:27: contact.contactCode: found an empty string, want a string, e.g. "{{contactCode}}"`,
			`1:44: contact.channelType: found an empty string, want a string, e.g. "{{channelType}}"`}},
		{"a fixed contact", `{"contact":{"contactCode":"34666","channelType":"a"}}`, []string{
			`warning: 1:27: contact.contactCode: has no {{column}}: every row goes to the same contact`}},
		{"unknown keys", "{" + contact + ",\n\"customfields\":{},\"x\":1}", []string{
			`2:1: customfields: unknown key "customfields"; did you mean "customFields"? (known here: "contact", "customFields")`,
			`2:19: x: unknown key "x" (known here: "contact", "customFields")`}},
		{"a key that would falsify the report", "{" + contact + `,"a\n: fine\u202e":1}`, []string{
			"1:72: a : fine\\u202e: unknown key \"a\\n: fine\\u202e\" (known here: \"contact\", \"customFields\")"}},
		{"unknown key in contact", `{"contact":{"contactCode":"{{a}}","chanelType":"a","channelType":"a"}}`, []string{
			`1:35: contact.chanelType: unknown key "chanelType"; did you mean "channelType"? (known here: "contactCode", "channelType", "reference")`}},
		{"repeated keys", `{` + contact + `,"customFields":{"a":"1","a":"2","\u0061":"3"},"contact":{}}`, []string{
			`1:96: customFields.a: the key "a" appears a second time; keep one of them`,
			`1:104: customFields.a: the key "a" appears a second time; keep one of them`,
			`1:118: contact: the key "contact" appears a second time; keep one of them`}},
		{"the campaign's keys", `{"sendType":null,` + contact + `,"messageContent":[{"a":1}]}`, []string{
			`warning: 1:2: sendType: "sendType" belongs to the campaign and is ignored here; remove it from the layout`,
			`warning: 1:88: messageContent: "messageContent" belongs to the campaign and is ignored here; remove it from the layout`}},
		{"repeated within what is ignored", `{` + contact + `,"messageContent":[{"a":1,"a":2}]}`, []string{
			`1:97: messageContent.0.a: the key "a" appears a second time; keep one of them`,
			`warning: 1:72: messageContent: "messageContent" belongs to the campaign and is ignored here; remove it from the layout`}},
		{"custom fields null", `{` + contact + `,"customFields":null}`, []string{
			`1:87: customFields: found null, want an object, e.g. {"name": "{{name}}"}; leave the key out if it has no value`}},
		{"custom values of wrong types", `{` + contact + `,"customFields":{"a":null,"b":[],"c":{}}}`, []string{
			`1:92: customFields.a: found null, want a string, a number, true or false; leave the key out if it has no value`,
			`1:101: customFields.b: found an array, want a string, a number, true or false`,
			`1:108: customFields.c: found an object, want a string, a number, true or false`}},
		{"unclosed variables", `{` + contact + `,"customFields":{"a":"\n{{x","b":"é{{ }}","c":"{{a {{b}}"}}`, []string{
			`1:95: customFields.a: "{{" without "}}" after it; a variable is written {{name}}`,
			`1:106: customFields.b: no name between "{{" and "}}"; a variable is written {{name}}`,
			`1:118: customFields.c: "{{" without "}}" after it; a variable is written {{name}}`}},
		{"every broken variable of a value", `{` + contact + `,"customFields":{"a":"{{}} {{x}} {{ }}\n{{ {{y}} {{"}}`, []string{
			`1:93: customFields.a: no name between "{{" and "}}"; a variable is written {{name}}`,
			`1:104: customFields.a: no name between "{{" and "}}"; a variable is written {{name}}`,
			`1:111: customFields.a: "{{" without "}}" after it; a variable is written {{name}}`,
			`1:120: customFields.a: "{{" without "}}" after it; a variable is written {{name}}`}},
		{"bad text", "{" + contact + ",\"customFields\":{\"n\xf1\":\"x\",\"b\":\"caf\xe9\",\"c\":\"\\udc00\"}}", []string{
			"1:90: customFields: the byte 0xF1 is not UTF-8; save the file as UTF-8",
			`1:105: customFields.b: the byte 0xE9 is not UTF-8; save the file as UTF-8`,
			`1:112: customFields.c: a \u escape here is half of a pair; write the character itself`}},
		{"bad text elsewhere", "{\"contact\":{\"contactCode\":\"\xe9\",\"channelType\":\"{{a\"}}", []string{
			`1:28: contact.contactCode: the byte 0xE9 is not UTF-8; save the file as UTF-8`,
			`1:46: contact.channelType: "{{" without "}}" after it; a variable is written {{name}}`}},
		{"something after", "{" + contact + "}\r\n{}", []string{
			`2:1: something follows after the end of the layout; the file must hold one JSON object and nothing else`}},
		{"cut off", "{" + contact + ",", []string{
			`1:72: not valid JSON: the file ends in the middle of the document: a closing quote, brace or bracket is missing, or its upload was cut off`}},
		{"problems before broken JSON", `{"contact":1,"contact":2,}`, []string{
			`1:14: contact: the key "contact" appears a second time; keep one of them`,
			`1:25: not valid JSON: a comma before a closing brace or bracket; remove it`}},
		{"single quotes", `{'contact':{}}`, []string{`1:2: not valid JSON: found '; strings and keys need double quotes (")`}},
		{"typographic quotes", `{“contact”:{}}`, []string{`1:2: not valid JSON: found a typographic quote; strings and keys need plain double quotes (")`}},
		{"UTF-16 without a mark", "{\x00}\x00", []string{`1:2: not valid JSON: found a NUL: is it UTF-16? save it as UTF-8`}},
		{"a comment", "{\n// x\n}", []string{`2:1: not valid JSON: invalid character '/' at start of value; JSON has no comments`}},
		{"unclosed quote", "{\"contact:\n1}", []string{`1:11: not valid JSON: a line ends within a string; is a closing quote missing? (a line break is written \n)`}},
		{"comma missing", `{"contact":{"contactCode":"a" "channelType":"b"}}`, []string{`1:31: contact: not valid JSON: a comma is missing before this key or value`}},
		{"NaN", `{"contact":NaN}`, []string{`1:12: contact: not valid JSON: invalid character 'N' at start of value`}},
		{"UTF-32", "\xff\xfe\x00\x00{\x00\x00\x00}\x00\x00\x00", []string{`1:1: the file is UTF-32; save it as UTF-8`}},
		{"True", `{"contact":True}`, []string{`1:12: contact: not valid JSON: invalid character 'T' at start of value; write true, false and null in lower case`}},
		{"a number as a key", `{1:2}`, []string{`1:2: not valid JSON: object member name must be a string`}},
		{"a stray escape", `{"a":"\x"}`, []string{"1:7: a: not valid JSON: invalid escape sequence `\\x` in string"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems, warnings := ParseLayout("f", []byte(c.data))
			got := lines(problems.List)
			for _, w := range warnings {
				got = append(got, "warning: "+w.String())
			}
			var want []string
			for _, w := range c.want {
				if rest, warning := strings.CutPrefix(w, "warning: "); warning {
					want = append(want, "warning: f:"+rest)
				} else {
					want = append(want, "f:"+w)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if problems.Count != len(problems.List) {
				t.Errorf("count %d of %d", problems.Count, len(problems.List))
			}
		})
	}
}

// TestNamesAreComparedInNFC: a column's name may hold letters beyond ASCII, in either
// normal form, and a BOM is not part of the document.
func TestNamesAreComparedInNFC(t *testing.T) {
	l, problems, _ := ParseLayout("f", []byte("\ufeff{"+contact+`,"customFields":{"a":"{{tele`+"\u0301"+`fono}}"}}`))
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	if p, _ := l.CheckColumns([]string{"contactCode", "teléfono"}); p.Count > 0 {
		t.Errorf("composed header: %v", p.List)
	}
	if p, _ := l.CheckColumns([]string{"contactCode", "tele\u0301fono"}); p.Count > 0 {
		t.Errorf("decomposed header: %v", p.List)
	}
}

// TestValuesAreText: braces and quotes in fixed values stay what they are.
func TestValuesAreText(t *testing.T) {
	l, problems, _ := ParseLayout("f", []byte(`{`+contact+`,"customFields":{"a":"\"}{\\\u007b"}}`))
	switch text, _ := l.Fields[0].Value.Constant(); {
	case problems.Count > 0:
		t.Errorf("problems.Count = %v, want 0", problems.Count)
	case text != `"}{\{`:
		t.Errorf("text = %q, want `\"}{\\{`", text)
	}
}

func TestCheckColumns(t *testing.T) {
	l, _, _ := ParseLayout("f", []byte(`{"contact":{"contactCode":"{{phone}}","channelType":"{{b}}"},
"customFields":{"x":"{{Nombre}} {{zzz}}","y":"{{b}}"}}`))
	got, _ := l.CheckColumns([]string{"fone", "b", "nombre"})
	want := []string{
		`f:1:28: contact.contactCode: the CSV has no column "phone"; did you mean "fone"? (its columns: "fone", "b", "nombre")`,
		`f:2:22: customFields.x: the CSV has no column "Nombre"; did you mean "nombre"? (its columns: "fone", "b", "nombre")`,
		`f:2:33: customFields.x: the CSV has no column "zzz" (its columns: "fone", "b", "nombre")`,
	}
	if diff := cmp.Diff(want, lines(got.List)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if p, _ := l.CheckColumns([]string{"zzz", "Nombre", "b", "phone", "more"}); p.Count > 0 {
		t.Errorf("unexpected: %v", p.List)
	}
	many := make([]string, 25)
	for i := range many {
		many[i] = strings.Repeat("c", i*5+1)
	}
	unknown, _ := l.CheckColumns(many)
	switch message := unknown.List[0].Message; {
	case !strings.Contains(message, "and 5 more"):
		t.Errorf("message of %d bytes: message = %q, want \"and 5 more\" in it", len(message), message)
	case len(message) > 2000:
		t.Errorf("message of %d bytes: len(message) = %v, want at most 2000: %q", len(message), len(message), message)
	}
}

func TestCheckVariables(t *testing.T) {
	l, _, _ := ParseLayout("f", []byte("{"+contact+",\n\"customFields\":{\"nmae\":\"x\",\"age\":1}}"))
	want := []string{
		`f:2:16: customFields: the campaign uses {{name}}, and customFields has no "name"; did you mean "nmae"? (it has: "nmae", "age")`,
		`f:2:16: customFields: the campaign uses {{city}}, and customFields has no "city" (it has: "nmae", "age")`,
	}
	if diff := cmp.Diff(want, lines(l.CheckVariables([]string{"name", "age", "city"}, nil).List)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	l, _, _ = ParseLayout("f", []byte(" {"+contact+"}"))
	want = []string{`f:1:2: customFields: the campaign uses {{name}}, and customFields has no "name"; did you mean to give it "{{Name}}"? (it has: none; the CSV's columns: "phone", "Name")`}
	if diff := cmp.Diff(want, lines(l.CheckVariables([]string{"name"}, []string{"phone", "Name"}).List)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
