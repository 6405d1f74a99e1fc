package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	text := func(s string) Segment { return Segment{Text: s} }
	variable := func(s string) Segment { return Segment{Variable: s} }
	for _, c := range []struct {
		text   string
		want   []Segment
		offset int
		err    error
	}{
		{"", nil, 0, nil},
		{"plain", []Segment{text("plain")}, 0, nil},
		{"{{a}}", []Segment{variable("a")}, 0, nil},
		{"{{  a b\t}}", []Segment{variable("a b")}, 0, nil},
		{"x{{a}}{{b}} y", []Segment{text("x"), variable("a"), variable("b"), text(" y")}, 0, nil},
		{"{{teléfono}}", []Segment{variable("teléfono")}, 0, nil},
		{"{ a } }} {", []Segment{text("{ a } }} {")}, 0, nil},
		{"{{a}}}", []Segment{variable("a"), text("}")}, 0, nil},
		{"{{{a}}", []Segment{variable("{a")}, 0, nil},
		{"é{{", nil, 2, ErrUnclosed},
		{"{{a} }", nil, 0, ErrUnclosed},
		{"x{{a {{b}}", nil, 1, ErrUnclosed},
		{"{{a}} {{ }}", nil, 6, ErrEmptyVariable},
		{"{{}}", nil, 0, ErrEmptyVariable},
	} {
		got, offset, err := Split(c.text)
		switch diff := cmp.Diff(c.want, got); {
		case diff != "":
			t.Errorf("want no difference:\n%s\n%v", diff, got)
		case offset != c.offset:
			t.Errorf("offset = %v, want %v\n%v", offset, c.offset, got)
		case !errors.Is(err, c.err):
			t.Errorf("got the error %v, want %v\n%v", err, c.err, got)
		}
	}
}

func TestVariableName(t *testing.T) {
	for name, want := range map[string]bool{"": false, "a": true, "_": true, "A_9z": true, "9": true, "a b": false, "é": false, "a-b": false, "a\x00": false} {
		if got := VariableName(name); got != want {
			t.Errorf("VariableName(%q) = %v", name, got)
		}
	}
}

// table makes Rows of one recipient whose values are values.
func table(values ...string) *Rows {
	rows := new(Rows)
	rows.Reset(0, len(values))
	rows.Lines = append(rows.Lines, 2)
	for i, v := range values {
		rows.Values[i].AppendString(v)
	}
	return rows
}

func TestCompileAndAppend(t *testing.T) {
	names := []string{"a", "b"}
	for _, c := range []struct{ item, a, b, want string }{
		{`{}`, "", "", `{}`},
		{`{"body":"x"}`, "", "", `{"body":"x"}`},
		{`{"body":"Hello {{a}}, {{ b }}!"}`, "Ann", "7", `{"body":"Hello Ann, 7!"}`},
		{` { "t" : { "n" : [ 1.50 , true , null , "{{b}}" ] } , "e" : [] } `, "", "x", `{"t":{"n":[1.50,true,null,"x"]},"e":[]}`},
		{`{"body":"{{a}}"}`, `"}, {"x": "{{b}}\`, "no", `{"body":"\"}, {\"x\": \"{{b}}\\"}`},
		{`{"body":"{{a}}{{a}}"}`, "\n\r\t\x00\x1f\x7f", "", `{"body":"\n\r\t\u0000\u001f` + "\x7f" + `\n\r\t\u0000\u001f` + "\x7f" + `"}`},
		{`{"body":"{{a}}"}`, "\xff日\xe6", "", `{"body":"` + "\ufffd日\ufffd" + `"}`},
		{`{"\u007b{a}}":"\u007b{a}}"}`, "v", "", `{"{{a}}":"v"}`},
		{`{"n":12345678901234567890.10e+5}`, "", "", `{"n":12345678901234567890.10e+5}`},
		{`{"k\"":"\u00e9<&>"}`, "", "", `{"k\"":"é<&>"}`},
	} {
		tpl, err := Compile(json.RawMessage(c.item), names, nil)
		if err != nil {
			t.Errorf("Compile(%s): %v", c.item, err)
			continue
		}
		if got := string(tpl.Append([]byte("before "), table(c.a, c.b), 0)); got != "before "+c.want {
			t.Errorf("%s renders\n%s, want\n%s", c.item, got, c.want)
		}
	}
}

// TestMaxLen: no message is longer than the bound, and one without values is the shortest.
func TestMaxLen(t *testing.T) {
	value := rapid.OneOf(rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }), rapid.SampledFrom([]string{"", "\x00\x01", "\xff", `"`, "é"}))
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(rapid.SampledFrom([]string{"x", "{{a}}", "é {{a}}, {{b}}, {{a}}", `"{{b}}{{b}}{{b}}`}).Draw(t, "text"))
		if err != nil {
			t.Fatal(err)
		}
		tpl, err := Compile(json.RawMessage(`{"body":`+string(text)+`}`), []string{"a", "b"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		got := tpl.Append(nil, table(a, b), 0)
		if most := tpl.MaxLen(len(a) + len(b)); len(got) > most {
			t.Errorf("%s with %q, %q has %d bytes, bound %d", text, a, b, len(got), most)
		}
		if want := tpl.Append(nil, table("", ""), 0); !bytes.Equal(tpl.Shortest(), want) {
			t.Errorf("the shortest of %s: got %s, want %s", text, tpl.Shortest(), want)
		}
	})
}

func TestEscapedValuesHaveNoMaxLen(t *testing.T) {
	tpl, err := Compile(json.RawMessage(`{"html":"{{a}}"}`), []string{"a"}, func(string) Escape { return func(dst, v []byte) []byte { return append(dst, v...) } })
	if err != nil {
		t.Fatal(err)
	}
	if got := tpl.MaxLen(1); got != math.MaxInt {
		t.Errorf("got %d", got)
	}
}

func TestTemplateVariables(t *testing.T) {
	tpl, err := Compile(json.RawMessage(`{"x":["{{b}}","{{a}} {{b}}"]}`), []string{"a", "b", "c"}, nil)
	if err != nil || !slices.Equal(tpl.Variables(), []string{"b", "a"}) {
		t.Errorf("got %v, %v", tpl, err)
	}
}

func TestCompileErrors(t *testing.T) {
	deep := strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1)
	for item, want := range map[string]string{
		``:                            "read message content: EOF",
		`[]`:                          "message content is not a JSON object",
		`"x"`:                         "message content is not a JSON object",
		`null`:                        "message content is not a JSON object",
		`{"a":1} {}`:                  "message content has something after its object",
		`{"a":1`:                      "read message content: EOF",
		`{"a"`:                        "read message content: EOF",
		`{"a":x}`:                     "read message content: invalid character 'x' looking for beginning of value",
		`{"a":{"b":["","{{c}}"]}}`:    `a.b.1: variable "c" has no value`,
		`{"a":"{{a","b":1}`:           `a: "{{" without "}}" after it`,
		`{"x":{"y":1},"a":["{{ }}"]}`: `a.0: no name between "{{" and "}}"`,
		deep:                          "message content is nested more than 64 levels deep",
		strings.Repeat(`{"a":`, 1e6):  "message content is nested more than 64 levels deep",
	} {
		if _, err := Compile(json.RawMessage(item), []string{"a"}, nil); err == nil || err.Error() != want {
			t.Errorf("Compile(%.80q) = %v, want %s", item, err, want)
		}
	}
}

func TestEscapeByPath(t *testing.T) {
	var asked []string
	escape := func(path string) Escape {
		asked = append(asked, path)
		if path != "html" {
			return nil
		}
		return func(dst, value []byte) []byte { return append(dst, html.EscapeString(string(value))...) }
	}
	tpl, err := Compile(json.RawMessage(`{"html":"<b>{{a}}</b>","t":{"c":[1,{"text":"{{a}}"}]}}`), []string{"a"}, escape)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"html", "t.c.1.text"}, asked); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	if got, want := string(tpl.Append(nil, table(`<i>"`), 0)), `{"html":"<b>&lt;i&gt;&#34;</b>","t":{"c":[1,{"text":"<i>\""}]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	tpl, rows := benchmarkTemplate(t)
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = tpl.Append(dst[:0], rows, 0) }); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

// TestAppendJSONAgrees: what AppendJSON writes, encoding/json reads as the same
// text, and writes so too but for the escapes that JSON leaves open.
func TestAppendJSONAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) })).Draw(t, "v")
		got := append(AppendJSON([]byte{'"'}, v), '"')
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != whole(string(v)) {
			t.Fatalf("AppendJSON(%q) = %s reads as %q, %v", v, got, back, err)
		}
		if !utf8.Valid(got) {
			t.Fatalf("AppendJSON(%q) = %q is not UTF-8", v, got)
		}
		if bytes.ContainsAny(v, "\b\f\u2028\u2029") {
			return
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(whole(string(v))); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(b.String(), "\n"); string(got) != want {
			t.Fatalf("AppendJSON(%q) = %s, encoding/json writes %s", v, got, want)
		}
	})
}

// whole is s with U+FFFD for each byte that is not UTF-8.
func whole(s string) string { return string([]rune(s)) }

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "Dear {{ a }}{{b}}!", "{{{{", "{{ }}", "{{a}}}}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		segments, offset, err := Split(text)
		if err != nil {
			if !strings.HasPrefix(text[offset:], "{{") {
				t.Errorf("Split(%q): want \"{{\" at the start in:\n%s", text, text[offset:])
			}
			if segments != nil {
				t.Errorf("Split(%q): segments = %v, want nil", text, segments)
			}
			return
		}
		var again strings.Builder
		for i, s := range segments {
			if (s.Text == "") == (s.Variable == "") {
				t.Errorf("Split(%q) = %q: segment %d is neither a text nor a variable", text, segments, i)
			}
			if i > 0 && s.Text != "" && segments[i-1].Text != "" {
				t.Errorf("Split(%q) = %q: segments %d and %d are both texts", text, segments, i-1, i)
			}
			if s.Variable != "" {
				again.WriteString("{{ " + s.Variable + " }}")
			}
			again.WriteString(s.Text)
		}
		second, _, err := Split(again.String())
		if diff := cmp.Diff(segments, second); diff != "" || err != nil {
			t.Errorf("Split(%q) and what it stands for differ: %v\n%s", text, err, diff)
		}
		if strings.Join(strings.Fields(again.String()), "") != strings.Join(strings.Fields(text), "") {
			t.Errorf("Split(%q) lost text: %q", text, again.String())
		}
	})
}

// substitute is a plain, slow model of rendering: on the parsed value, in one pass.
func substitute(v any, values map[string]string) any {
	switch v := v.(type) {
	case string:
		segments, _, _ := Split(v)
		var b strings.Builder
		for _, s := range segments {
			b.WriteString(s.Text)
			b.WriteString(whole(values[s.Variable]))
		}
		return b.String()
	case []any:
		for i := range v {
			v[i] = substitute(v[i], values)
		}
	case map[string]any:
		for k := range v {
			v[k] = substitute(v[k], values)
		}
	}
	return v
}

func decodeNumbers(data []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

func FuzzTemplate(f *testing.F) {
	f.Add([]byte(`{"body":"Hello {{a}}, {{ b }}"}`), "Ann", `"}`)
	f.Add([]byte(`{"template":{"components":[{"text":"{{b}}"},1.5,null]}}`), "\xff", "\x00\n")
	f.Fuzz(func(t *testing.T, item []byte, a, b string) {
		tpl, err := Compile(item, []string{"a", "b"}, nil)
		if err != nil {
			return
		}
		got := tpl.Append(nil, table(a, b), 0)
		if !json.Valid(got) {
			t.Fatalf("%q: json.Valid(got) = false, want true\n%s\n%s", item, b, a)
		}
		if !utf8.Valid(got) {
			t.Fatalf("%q: utf8.Valid(got) = false, want true\n%s\n%s", item, b, a)
		}
		if bytes.ContainsRune(got, '\n') {
			t.Fatalf("%q: bytes.ContainsRune(got, '\\n') = true, want false\n%s\n%s", item, b, a)
		}
		model, err := decodeNumbers(item)
		if err != nil {
			t.Fatalf("compiled, but encoding/json refuses %q: %v", item, err)
		}
		rendered, err := decodeNumbers(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(substitute(model, map[string]string{"a": a, "b": b}), rendered); diff != "" {
			t.Errorf("%q with %q, %q (-plain +rendered):\n%s", item, a, b, diff)
		}
	})
}

func benchmarkTemplate(t testing.TB) (*Template, *Rows) {
	t.Helper()
	item := json.RawMessage(`{"template":{"name":"appointment","language":{"code":"es"},"components":[
		{"type":"body","parameters":[{"type":"text","text":"{{name}}"},{"type":"text","text":"Ticket {{ticketId}}, {{age}} años"}]}]}}`)
	tpl, err := Compile(item, []string{"name", "ticketId", "age"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := table()
	rows.Reset(0, 3)
	for i := range ChunkRows {
		rows.Lines = append(rows.Lines, uint32(i+2))
		rows.Values[0].AppendString(fmt.Sprintf("José \"%d\"", i))
		rows.Values[1].AppendString(fmt.Sprint(100000 + i))
		rows.Values[2].AppendString(fmt.Sprint(20 + i%60))
	}
	return tpl, rows
}

// BenchmarkRender renders one message a turn: at most 200 ns and no allocation.
func BenchmarkRender(b *testing.B) {
	tpl, rows := benchmarkTemplate(b)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		dst = tpl.Append(dst[:0], rows, i%ChunkRows)
	}
	b.SetBytes(int64(len(dst)))
}
