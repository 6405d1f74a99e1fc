package whatsapp

import (
	"bytes"
	"strings"
	"testing"
)

// Contacts are read by package contact; Meta's own rule is the least number of digits.
func TestRecipients(t *testing.T) {
	for code, want := range map[string]recipient{
		"34666000111":     {text: []byte("34666000111")},
		"1234567":         {text: []byte("1234567")},
		"123456789012345": {text: []byte("123456789012345")},
		"US.1349120865":   {text: []byte("US.1349120865"), userID: true},
		// Stored as written by an older release.
		"+34 666 000 111":           {text: []byte("34666000111")},
		"[34]\u00a0666\u2013000111": {text: []byte("34666000111")},
	} {
		if got, err := parseRecipient(nil, []byte(code)); err != nil || !bytes.Equal(got.text, want.text) || got.userID != want.userID {
			t.Errorf("%q gives %q (user id %v), %v; want %q", code, got.text, got.userID, err, want.text)
		}
	}
	for code, want := range map[string]string{
		"":                 "the contact is empty",
		"123456":           "the phone number has 6 digits: with its country code it has 7 to 15",
		"1234567890123456": "fewer than 3 or more than 15 digits",
		"34+666000111":     "the phone number has a + that isn't at its beginning",
		"ann@example.com":  "which can't be in one",
		"3.46668E+10":      "a power of ten",
	} {
		if got, err := parseRecipient(nil, []byte(code)); err == nil || !strings.Contains(err.Error(), want) || len(got.text) != 0 {
			t.Errorf("%q gives %q, %v; want %s", code, got.text, err, want)
		}
	}
}

// A row that Meta would refuse is refused at intake.
func TestCheckMessage(t *testing.T) {
	c := driver(t, "", nil)
	const (
		body    = `{"body":"{{name}}"}`
		named   = `{"template":{"name":"{{name}}","language":"es"}}`
		spoken  = `{"template":{"name":"a","language":"{{name}}"}}`
		picture = `{"template":{"name":"a","language":"es","components":[{"type":"header","parameters":[{"type":"image","image":{"link":"{{name}}"}}]}]}}`
		button  = `{"template":{"name":"a","language":"es","components":[{"type":"body","parameters":[{"type":"text","text":"x"}]},` +
			`{"type":"button","subType":"quickReply","index":3,"parameters":[{"type":"payload","payload":"{{name}}"}]}]}}`
		second = `{"template":{"name":"a","language":"es","components":[{"type":"body","parameters":[{"type":"currency","currency":{"fallback_value":"x","code":"EUR","amount_1000":1}},` +
			`{"type":"text","text":"{{name}}"}]}]}}`
		titled = `{"template":{"name":"a","language":"es","components":[{"type":"header","parameters":[{"type":"text","text":"{{name}}"}]}]}}`
		twice  = `{"template":{"name":"a","language":"es","components":[{"type":"body","parameters":[{"type":"text","text":"{{name}}"},{"type":"text","text":"{{name}}"}]},` +
			`{"type":"button","subType":"url","index":0,"parameters":[{"type":"text","text":"x"}]}]}}`
		action = `{"template":{"name":"a","language":"es","components":[{"type":"button","subType":"flow","index":0,"parameters":[{"type":"action","action":{"flow_token":"{{name}}","x":[{"text":""}]}}]}]}}`
	)
	for _, x := range []struct{ item, name, want string }{
		{body, "x", ""},
		{body, "line\nbreak", ""},
		{body, "", "the text has 0 characters; it may have 1 to 4096"},
		{body, strings.Repeat("é", 4096), ""},
		{body, strings.Repeat("\n", 4096), ""},
		{body, strings.Repeat("😀", 4097), "the text has 4097 characters; it may have 1 to 4096"},
		{body, strings.Repeat("\x01", 4097), "the text has 4097 characters; it may have 1 to 4096"},
		{welcome, "Ann", ""},
		{welcome, `A"\nn`, ""},
		{welcome, "four    spaces", ""},
		{welcome, "five     spaces", "template body, parameter 1: contains 5 spaces in a row; a template's text may contain 4"},
		{welcome, "", "template body, parameter 1: is empty, which a template's text must not be"},
		{welcome, "a\nb", "template body, parameter 1: contains a line break, which a template's text must not"},
		{welcome, "a\rb", "template body, parameter 1: contains a line break, which a template's text must not"},
		{welcome, "a\tb", "template body, parameter 1: contains a tab, which a template's text must not"},
		{second, "", "template body, parameter 2: is empty, which a template's text must not be"},
		{welcome, strings.Repeat("é", 4096), ""},
		{welcome, strings.Repeat("é", 4097), "template body: its values have 4097 characters; with the template's own text it may have 4096"},
		{twice, strings.Repeat("é", 512), ""},
		{twice, strings.Repeat("é", 513), "template body: its values have 1026 characters; with the template's own text it may have 1024"},
		{titled, strings.Repeat("é", 60), ""},
		{titled, strings.Repeat("é", 61), "template header, parameter 1: has 61 characters; a header's text may have 60"},
		{button, "", "template button 3, parameter 1: is empty"},
		{button, "a\nb", ""},
		{action, "", ""},
		{picture, "https://x.example/a.png", ""},
		{picture, "a.png", "template header, parameter 1: the link is not a valid address: it must begin with https://"},
		{picture, "https://x.example/a b.png", "template header, parameter 1: the link is not a valid address: it must begin with https://"},
		{named, "a_1", ""},
		{named, "A", "the template's name is not valid: it must have only lower-case letters, digits and underscores"},
		{spoken, "en_US", ""},
		{spoken, "", "the template's language is not valid: write one such as es or en_US"},
		{spoken, "en_US_x", "the template's language is not valid: write one such as es or en_US"},
	} {
		err := c.CheckMessage([]byte("34666000111"), render(t, c, x.item, x.name))
		if got := errorText(err); got != x.want {
			t.Errorf("%.40q in %s\n got %s\nwant %s", x.name, x.item, got, x.want)
		}
	}
	if err := c.CheckMessage([]byte("12"), render(t, c, body, "x")); errorText(err) != "contactCode: the phone number has 2 digits: with its country code it has 7 to 15" {
		t.Errorf("got %v for a contact of 2 digits", err)
	}
	for _, other := range []string{"", "{}", `{"body":"x"}`, `{"type":"text","text":{"body":"x`, `{"type":"template","template":{`, `{"type":"template","template":{"name":"a"}} `,
		`{"type":"template","template":{"name":"a","components":[}}`, `{"type":"template","template":{"name":"a",}}`, `{"type":"template","template":{"name" :"a"}}`} {
		if err := c.CheckMessage([]byte("34666000111"), []byte(other)); err == nil {
			t.Errorf("content %q passed", other)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestMeasureReadsEscapes: an escaped character counts as one character.
func TestMeasureReadsEscapes(t *testing.T) {
	for raw, want := range map[string]text{
		`a\u000ab`: {chars: 3, breaks: true}, `\ud83d\ude00`: {chars: 1}, `\u0020\u0020 `: {chars: 3, spaces: 3}, `\u00e9\/\"`: {chars: 3}, `\u12`: {chars: 1}, `\t`: {chars: 1, tabs: true},
	} {
		got := measure([]byte(raw))
		got.raw = nil
		switch {
		case got.chars != want.chars:
			t.Errorf("%q: got.chars: got %v, want %v", raw, got.chars, want.chars)
		case got.breaks != want.breaks:
			t.Errorf("%q: got.breaks: got %v, want %v", raw, got.breaks, want.breaks)
		case got.tabs != want.tabs:
			t.Errorf("%q: got.tabs: got %v, want %v", raw, got.tabs, want.tabs)
		case got.spaces != want.spaces:
			t.Errorf("%q: got.spaces: got %v, want %v", raw, got.spaces, want.spaces)
		}
	}
}

func TestCheckMessageAllocatesNothing(t *testing.T) {
	c := driver(t, "", nil)
	contact := []byte("+34 666 000 111")
	for _, item := range []string{`{"body":"Hello {{name}}"}`, welcome} {
		content := render(t, c, item, "Ann")
		if n := testing.AllocsPerRun(100, func() {
			if err := c.CheckMessage(contact, content); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations a message of %s", n, item)
		}
	}
}

// BenchmarkCheckMessage checks one template message; the limit is 500 ns.
func BenchmarkCheckMessage(b *testing.B) {
	c, err := New(Options{PhoneNumberID: phoneID, Token: token})
	if err != nil {
		b.Fatal(err)
	}
	content, contact := render(b, c, welcome, "José Example"), []byte("+34 666 000 111")
	b.ReportAllocs()
	for b.Loop() {
		if err := c.CheckMessage(contact, content); err != nil {
			b.Fatal(err)
		}
	}
}
