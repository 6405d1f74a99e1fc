package whatsapp

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestCompile: an item in either spelling becomes Meta's form.
func TestCompile(t *testing.T) {
	c := driver(t, "", nil)
	const start = `{"type":"template","template":{"name":"a","language":{"policy":"deterministic","code":"es"}`
	parts := func(s string) string {
		return `{"template":{"name":"a","language":"es","components":[` + s + `]}}`
	}
	for _, x := range []struct{ name, item, want string }{
		{"body", `{"body":"Hello {{name}}"}`, `{"type":"text","text":{"body":"Hello Ann","preview_url":false}}`},
		{"text", `{"text":{"body":"<{{name}}> & co","preview_url":true}}`, `{"type":"text","text":{"body":"<Ann> & co","preview_url":true}}`},
		{"text in camel case", `{"type":"text","text":{"body":"x","previewUrl":true}}`, `{"type":"text","text":{"body":"x","preview_url":true}}`},
		{"template alone", `{"template":{"name":"a","language":"es"}}`, start + `}}`},
		{"language as an object", `{"template":{"name":"a","language":{"code":"es","policy":"deterministic"}}}`, start + `}}`},
		{"language by row", `{"template":{"name":"a","language":"{{name}}"}}`, `{"type":"template","template":{"name":"a","language":{"policy":"deterministic","code":"Ann"}}}`},
		{"body's values", parts(`{"type":"body","parameters":[{"type":"text","text":"{{name}}"}]}`),
			start + `,"components":[{"type":"body","parameters":[{"text":"Ann","type":"text"}]}]}}`},
		{"named values", parts(`{"type":"BODY","parameters":[{"type":"text","parameterName":"first_name","text":"{{name}}"}]}`),
			start + `,"components":[{"type":"body","parameters":[{"parameter_name":"first_name","text":"Ann","type":"text"}]}]}}`},
		{"a component without values says nothing", parts(`{"type":"body","parameters":[]},{"type":"header"}`), start + `}}`},
		{"quick reply in camel case, index a number", parts(`{"type":"button","subType":"quickReply","index":0,"parameters":[{"type":"payload","payload":"{{name}}"}]}`),
			start + `,"components":[{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"payload":"Ann","type":"payload"}]}]}}`},
		{"index a string", parts(`{"type":"button","sub_type":"url","index":"9","parameters":[{"type":"text","text":"x"}]}`),
			start + `,"components":[{"type":"button","sub_type":"url","index":"9","parameters":[{"text":"x","type":"text"}]}]}}`},
		{"copy code", parts(`{"type":"button","sub_type":"copy_code","index":1,"parameters":[{"type":"couponCode","couponCode":"X1"}]}`),
			start + `,"components":[{"type":"button","sub_type":"copy_code","index":"1","parameters":[{"coupon_code":"X1","type":"coupon_code"}]}]}}`},
		{"flow", parts(`{"type":"button","sub_type":"flow","index":0,"parameters":[{"type":"action","action":{"flow_token":"{{name}}","flow_action_data":{"n":1.50}}}]}`),
			start + `,"components":[{"type":"button","sub_type":"flow","index":"0","parameters":[{"action":{"flow_action_data":{"n":1.50},"flow_token":"Ann"},"type":"action"}]}]}}`},
		{"catalog without values", parts(`{"type":"button","sub_type":"catalog","index":0}`),
			start + `,"components":[{"type":"button","sub_type":"catalog","index":"0"}]}}`},
		{"image", parts(`{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.example/{{name}}.png"}}]}`),
			start + `,"components":[{"type":"header","parameters":[{"image":{"link":"https://x.example/Ann.png"},"type":"image"}]}]}}`},
		{"document", parts(`{"type":"header","parameters":[{"type":"document","document":{"id":"77","filename":"{{name}}.pdf"}}]}`),
			start + `,"components":[{"type":"header","parameters":[{"document":{"filename":"Ann.pdf","id":"77"},"type":"document"}]}]}}`},
		{"video", parts(`{"type":"header","parameters":[{"type":"video","video":{"id":"7"}}]}`), start + `,"components":[{"type":"header","parameters":[{"type":"video","video":{"id":"7"}}]}]}}`},
		{"location", parts(`{"type":"header","parameters":[{"type":"location","location":{"latitude":40.5,"longitude":"-3.7"}}]}`),
			start + `,"components":[{"type":"header","parameters":[{"location":{"latitude":"40.5","longitude":"-3.7"},"type":"location"}]}]}}`},
		{"currency", parts(`{"type":"body","parameters":[{"type":"currency","currency":{"fallbackValue":"$1","code":"USD","amount1000":1000}}]}`),
			start + `,"components":[{"type":"body","parameters":[{"currency":{"amount_1000":1000,"code":"USD","fallback_value":"$1"},"type":"currency"}]}]}}`},
		{"date", parts(`{"type":"body","parameters":[{"type":"dateTime","dateTime":{"fallback_value":"{{name}}","day_of_week":5}}]}`),
			start + `,"components":[{"type":"body","parameters":[{"date_time":{"day_of_week":5,"fallback_value":"Ann"},"type":"date_time"}]}]}}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got := string(render(t, c, x.item, "Ann")); got != x.want {
				t.Errorf("got\n%s, want\n%s", got, x.want)
			}
		})
	}
}

// TestCompileRefuses: each error names the original place and the correct form.
func TestCompileRefuses(t *testing.T) {
	c := driver(t, "", nil)
	in := func(component string) string {
		return `{"template":{"name":"a","language":"es","components":[` + component + `]}}`
	}
	value := func(p string) string { return in(`{"type":"body","parameters":[` + p + `]}`) }
	header := func(p string) string { return in(`{"type":"header","parameters":[` + p + `]}`) }
	for item, want := range map[string]string{
		`{}`:                               `contains nothing to send: write "body", "text", "template", "image", "video" or "document"`,
		`{"boddy":"x"}`:                    `boddy: is not a valid key here; did you mean "body"?`,
		`{"to":"x","body":"y"}`:            `to: is not a valid key here`,
		`{"body":"x","text":{"body":"y"}}`: `contains more than one message: an item is one of "body", "text", "template", "image", "video" and "document"`,
		`{"body":"{{nobody}}"}`:            `body: variable "nobody" has no value`,
		`{"body":""}`:                      `body: has 0 characters; a text has 1 to 4096`,
		`{"body":7}`:                       `body: found the number 7 where a string belongs`,
		`{"body":"x","type":"template"}`:   `type: found "template" where "text" belongs`,
		`{"body":"` + strings.Repeat("é", 4097) + `"}`: `body: has 4097 characters; a text has 1 to 4096`,
		`{"text":"x"}`: `text: found a string where {"body": …} belongs; or write "body" in place of "text"`,
		`{"text":{}}`:  `text.body: is missing`,
		`{"text":{"body":"x","preview_url":"1"}}`:                    `text.preview_url: found "1" where true or false belongs`,
		`{"text":{"body":"x","preview_url":true,"previewUrl":true}}`: `text.preview_url: is a duplicate of text.previewUrl in the other spelling`,
		`{"template":[]}`: `template: found a list where an object belongs`,
		`{"template":{}}`: `template.name: is missing; template.language: is missing`,
		`{"template":{"name":"A b","language":"es"}}`:                     `template.name: found "A b"; a template's name has lower-case letters, digits and underscores`,
		`{"template":{"name":"a","language":"en-US"}}`:                    `template.language: found "en-US" where the template's language belongs, such as "es" or "en_US"; did you mean "en_US"?`,
		`{"template":{"name":"a","language":{}}}`:                         `template.language.code: is missing`,
		`{"template":{"name":"a","language":{"code":"es","policy":"x"}}}`: `template.language.policy: found "x"; it can only be "deterministic", and may be left out`,
		`{"template":{"name":"a","language":null}}`:                       `template.language: found null where a string belongs`,
		`{"template":{"name":"a","language":"es","components":{}}}`:       `template.components: found an object where a list belongs`,
		in(`{}`):                        `template.components.0.type: is missing`,
		in(`[]`):                        `template.components.0: found a list where an object belongs`,
		in(`{"type":"headr"}`):          `template.components.0.type: found "headr"; it can be: header, body, button; did you mean "header"?`,
		in(`{"type":"body","index":0}`): `template.components.0.index: belongs to a button, not to a body`,
		in(`{"type":"button"}`):         `template.components.0.sub_type: is missing; template.components.0.index: is missing`,
		in(`{"type":"button","subType":"quickreply","index":0}`):                                                               `template.components.0.subType: found "quickreply"; it can be: quick_reply, url, copy_code, catalog, flow, mpm, order_details, voice_call; did you mean "quick_reply"?`,
		in(`{"type":"button","subType":"url","index":10}`):                                                                     `template.components.0.index: found the number 10 where the button's index belongs, 0 to 9`,
		in(`{"type":"button","subType":"url","index":"01"}`):                                                                   `template.components.0.index: found "01" where the button's index belongs, 0 to 9`,
		in(`{"type":"button","subType":"url","index":"{{name}}"}`):                                                             `template.components.0.index: found "{{name}}" where the button's index belongs, 0 to 9`,
		in(`{"type":"body"},{"type":"body"}`):                                                                                  `template.components.1: is a second body; the first is template.components.0`,
		in(`{"type":"button","subType":"url","index":0},{"type":"button","sub_type":"flow","index":"0"}`):                      `template.components.1: is a second button 0; the first is template.components.0`,
		in(`{"type":"button","subType":"quick_reply","index":0,"parameters":[{"type":"text","text":"x"}]}`):                    `template.components.0.parameters.0.type: found "text"; it can be: payload`,
		in(`{"type":"button","subType":"url","index":0,"parameters":[{"type":"text","text":"x"},{"type":"text","text":"y"}]}`): `template.components.0.parameters: found 2 parameters; a button takes one`,
		in(`{"type":"button","subType":"url","index":0,"parameters":[{"type":"text","text":"x","parameter_name":"y"}]}`):       `template.components.0.parameters.0.parameter_name: belongs to a header or body, not to a button`,
		value(`7`):                                        `template.components.0.parameters.0: found the number 7 where an object such as {"type": "text", "text": …} belongs`,
		value(`{"text":"x"}`):                             `template.components.0.parameters.0.type: is missing; it can be: text, currency, date_time`,
		value(`{"type":"txt","text":"x"}`):                `template.components.0.parameters.0.type: found "txt"; it can be: text, currency, date_time; did you mean "text"?`,
		value(`{"type":"text"}`):                          `template.components.0.parameters.0.text: is missing`,
		value(`{"type":"text","text":"x","payload":"y"}`): `template.components.0.parameters.0.payload: is not a valid key here`,
		value(`{"type":"text","text":""}`):                `template.components.0.parameters.0.text: is empty, which a template's text must not be`,
		value(`{"type":"text","text":"a\nb"}`):            `template.components.0.parameters.0.text: contains a line break, which a template's text must not`,
		value(`{"type":"text","text":"a\tb"}`):            `template.components.0.parameters.0.text: contains a tab, which a template's text must not`,
		value(`{"type":"text","text":"a     b"}`):         `template.components.0.parameters.0.text: contains 5 spaces in a row; a template's text may contain 4`,
		value(`{"type":"text","text":["x"]}`):             `template.components.0.parameters.0.text: found a list where a string belongs`,
		value(`{"type":"text","text":"x","parameterName":"a"},{"type":"text","text":"y"}`):               `template.components.0.parameters: a parameter_name is in 1 of 2 parameters: name all of them or none`,
		value(`{"type":"text","text":"x","parameterName":"{{name}}"}`):                                   `template.components.0.parameters.0.parameterName: found "{{name}}"; a parameter's name has lower-case letters, digits and underscores`,
		value(`{"type":"currency","currency":{"fallback_value":"x","code":"EUR","amount_1000":"1"}}`):    `template.components.0.parameters.0.currency.amount_1000: found "1" where a whole number belongs`,
		value(`{"type":"currency","currency":{}}`):                                                       `template.components.0.parameters.0.currency.fallback_value: is missing; template.components.0.parameters.0.currency.code: is missing; template.components.0.parameters.0.currency.amount_1000: is missing`,
		value(`{"type":"date_time","date_time":{"fallback_value":""}}`):                                  `template.components.0.parameters.0.date_time.fallback_value: is empty`,
		header(`{"type":"image","image":{}}`):                                                            `template.components.0.parameters.0.image: needs one of "file" with a file's name in campaigns_dir, "link" with an address and "id" of an uploaded file`,
		header(`{"type":"image","image":{"link":"x.png"}}`):                                              `template.components.0.parameters.0.image.link: found "x.png" where an address that begins with https:// belongs`,
		header(`{"type":"image","image":{"link":true}}`):                                                 `template.components.0.parameters.0.image.link: found true where a string belongs`,
		header(`{"type":"image","image":"x"}`):                                                           `template.components.0.parameters.0.image: found "x" where an object belongs`,
		header(`{"type":"location","location":{"latitude":1}}`):                                          `template.components.0.parameters.0.location.longitude: is missing`,
		in(`{"type":"button","subType":"flow","index":0,"parameters":[{"type":"action","action":"x"}]}`): `template.components.0.parameters.0.action: found "x" where an object belongs`,
	} {
		_, err := c.Compile(json.RawMessage(item), []string{"name"})
		if err == nil || err.Error() != want {
			t.Errorf("%.120s\n got %v\nwant %s", item, err, want)
		}
	}
}

func TestSnake(t *testing.T) {
	for in, want := range map[string]string{"subType": "sub_type", "quickReply": "quick_reply", "QUICK_REPLY": "quick_reply", "BODY": "body",
		"amount1000": "amount_1000", "amount_1000": "amount_1000", "previewURL": "preview_url", "": "", "parameterName": "parameter_name"} {
		if got := snake(in); got != want {
			t.Errorf("snake(%q) = %q, want %q", in, got, want)
		}
	}
}
