package preview

import (
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

func TestMessageAsItsRecipientSeesIt(t *testing.T) {
	for _, c := range []struct {
		name, item, want string
	}{
		{"a text", `{"body":"Hello Ada"}`, "Hello Ada"},
		{"a text of several lines", `{"body":"Hello Ada\r\n\r\nBye"}`, "Hello Ada\n\nBye"},
		{"Meta's form of a text", `{"type":"text","text":{"body":"Hello","preview_url":false}}`, "Hello"},
		{"a picture by its file", `{"type":"image","image":{"caption":"Hello Ada","file":"spring.jpg"}}`, "image spring.jpg, Hello Ada"},
		{"a template with a file", `{"template":{"name":"spring","language":"es","components":[{"type":"header","parameters":[{"type":"document","document":{"file":"terms.pdf"}}]}]}}`,
			"Template spring (es)\nHeader: document terms.pdf"},
		{"an unfilled text", `{"body":"Hello {{name}}"}`, "Hello {{name}}"},
		{"an email", `{"subject":"Hi Ada","from":"a@shop.example","text":"Line one\nLine two","html":"<p>x</p>"}`,
			"Subject: Hi Ada\nFrom: a@shop.example\nLine one\nLine two\n(also as HTML)"},
		{"an email of HTML alone", `{"subject":"Hi","html":"<html><head><style>p {}</style></head><p>Dear&nbsp;Ada &amp; Bob,</p>\n<p>see <b>this</b><br>now</p></html>"}`,
			"Subject: Hi\nDear\u00a0Ada & Bob,\nsee this\nnow"},
		{"a template", `{"template":{"name":"order_update","language":{"policy":"deterministic","code":"es"},"components":[
			{"type":"header","parameters":[{"type":"image","image":{"link":"https://shop.example/a.png"}}]},
			{"type":"body","parameters":[{"type":"text","text":"Ada"},{"type":"currency","currency":{"fallback_value":"12 €","code":"EUR","amount_1000":12000}}]},
			{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"yes-4711"}]},
			{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"orders/4711"}]}]}}`,
			"Template order_update (es)\nHeader: image https://shop.example/a.png\nBody: {{1}} = Ada, {{2}} = 12 €\n" +
				"Button 1 (quick reply): yes-4711\nButton 2 (url): orders/4711"},
		{"a template in the other spelling, with named parameters", `{"template":{"name":"hi","language":"en_US","components":[
			{"type":"BODY","parameters":[{"type":"text","parameterName":"who","text":"{{name}}"}]},{"type":"BUTTON","subType":"URL","index":0,"parameters":[]}]}}`,
			"Template hi (en_US)\nBody: {{who}} = {{name}}\nButton 1 (url): "},
		{"a content of the receiver's own", `{"body":"Hello","priority":3,"tags":["a","b"],"more":{"z":"1","a":null}}`,
			"Hello\npriority: 3\ntags: [\"a\",\"b\"]\nmore: {\"z\":\"1\",\"a\":null}"},
		{"no object", `["x"]`, `["x"]`},
		{"no JSON", `{"body":`, `{"body":`},
		{"two values", `{} {}`, `{} {}`},
	} {
		if got := strings.Join(Message(c.item), "\n"); got != c.want {
			t.Errorf("%s:\ngot\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestListNamesEveryRecipient(t *testing.T) {
	got := strings.Join(List([]campaign.Preview{
		{Line: 2, ContactCode: "34666777888", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello Ada\nBye"}`},
		{Line: 3, ContactCode: "34666555666", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello Grace"}`}}), "\n")
	want := "line 2, to 34666777888 on cloud_api, message 1:\n  Hello Ada\n  Bye\nline 3, to 34666555666 on cloud_api, message 1:\n  Hello Grace"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{`{"body":"x"}`, `{"template":{"name":1,"language":{},"components":[3,{"type":"é"},{"parameters":[{"type":"text"}]}]}}`, `{"text":{"body":[]}}`, `{"html":"<"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, item string) {
		for _, line := range Message(item) {
			if strings.ContainsAny(line, "\r\n") {
				t.Fatalf("%q has a line break", line)
			}
		}
	})
}
