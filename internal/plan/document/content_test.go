package document

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

func TestParseCampaign(t *testing.T) {
	got, problems := ParseCampaign("7.json", []byte(`{
  "id": 7, "applicationId": 1, "title": "Welcome", "enabled": false, "sendType": "reactive",
  "channelTypes": ["cloud_api", "email"],
  "messageContent": [
    {"channelType": "cloud_api", "template": {"name": "hi", "language": {"code": "es"}, "n": 1e2}},
    {"subject": "{{ a }}", "channelType":"email" , "text": "{{b_2}} é \u0041" },
    {"body": "{{a}}{{C}}" , "channelType": "email"},
    { "body":"x" }
  ]}`))
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	want := &campaign.Campaign{File: "7.json", ID: 7, ApplicationID: 1, Title: "Welcome", SendType: "reactive",
		ChannelTypes: []string{"cloud_api", "email"},
		Contents: []campaign.Content{
			{ChannelType: "cloud_api", Item: json.RawMessage(`{"template": {"name": "hi", "language": {"code": "es"}, "n": 1e2}}`)},
			{ChannelType: "email", Item: json.RawMessage(`{"subject": "{{ a }}", "text": "{{b_2}} é \u0041" }`)},
			{ChannelType: "email", Item: json.RawMessage(`{"body": "{{a}}{{C}}"}`)},
			{Item: json.RawMessage(`{ "body":"x" }`)},
		}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("campaign (-want +got):\n%s", diff)
	}
	if names := Variables(got.Contents); !slices.Equal(names, []string{"a", "b_2", "C"}) {
		t.Errorf("Variables = %q", names)
	}
	got, problems = ParseCampaign("f", []byte(`{"id":1,"applicationId":2,"channelTypes":["a"],"messageContent":[{"body":"x"}]}`))
	switch {
	case problems.Count > 0:
		t.Errorf("defaults: problems.Count: got %v, want 0", problems.Count)
	case !got.Enabled:
		t.Error("defaults: got.Enabled: got false, want true")
	case got.SendType != "proactive":
		t.Errorf(`defaults: got.SendType: got %q, want "proactive"`, got.SendType)
	case got.Title != "":
		t.Errorf("defaults: got.Title: got %q, want none", got.Title)
	}
}

func TestParseCampaignProblems(t *testing.T) {
	with := func(rest string) string { return `{"id":1,"applicationId":2,"channelTypes":["a","b"],` + rest + `}` }
	items := func(n int) string { return strings.TrimSuffix(strings.Repeat(`{"body":"x"},`, n), ",") }
	const channelsWant = `want a list of channels, e.g. ["cloud_api"]`
	for _, c := range []struct {
		name, data string
		want       []string
	}{
		{"empty object", `{}`, []string{
			`1:1: id: the key "id" is missing, want a whole number from 1`,
			`1:1: applicationId: the key "applicationId" is missing, want a whole number from 1`,
			`1:1: channelTypes: the key "channelTypes" is missing, ` + channelsWant,
			`1:1: messageContent: the key "messageContent" is missing, want a list of 1 to 5 message contents`}},
		{"wrong types", `{"id":"1","applicationId":0,"title":1,"enabled":"yes","sendType":true,"channelTypes":"a","messageContent":{}}`, []string{
			`1:7: id: found a string, want a whole number from 1, without quotes`,
			`1:27: applicationId: found 0, want a whole number from 1 (no fraction, no exponent)`,
			`1:37: title: found a number, want a string, in double quotes`,
			`1:49: enabled: found a string, want true or false, without quotes`,
			`1:66: sendType: found true, want "proactive" or "reactive", in double quotes`,
			`1:86: channelTypes: found a string, ` + channelsWant,
			`1:107: messageContent: found an object, want a list of 1 to 5 message contents, each an object`}},
		{"unknown key", with(`"titel":"x","messageContent":[` + items(1) + `]`), []string{
			`1:52: titel: unknown key "titel"; did you mean "title"? (known here: "id", "applicationId", "title", "enabled", "sendType", "channelTypes", "messageContent")`}},
		{"sendType", with(`"sendType":"Reactive","messageContent":[` + items(1) + `]`), []string{
			`1:63: sendType: unknown sendType "Reactive"; did you mean "reactive"? (want "proactive" or "reactive")`}},
		{"title of two lines", with(`"title":"a\nb","messageContent":[` + items(1) + `]`), []string{
			`1:60: title: holds a control character, want plain text in one line`}},
		{"no channel", `{"id":1,"applicationId":2,"channelTypes":[],"messageContent":[{"body":"x","channelType":"z"}]}`, []string{
			`1:42: channelTypes: found 0 channels, want 1 to 255`}},
		{"bad channels", `{"id":1,"applicationId":2,"channelTypes":["a","a",""," b",1,"c\u0000"],"messageContent":[` + items(1) + `]}`, []string{
			`1:47: channelTypes.1: the channel "a" is listed a second time; keep one of them`,
			`1:51: channelTypes.2: found "", want the name of a channel without spaces around it, e.g. "cloud_api"`,
			`1:54: channelTypes.3: found " b", want the name of a channel without spaces around it, e.g. "cloud_api"`,
			`1:59: channelTypes.4: found a number, want the name of a channel, e.g. "cloud_api", in double quotes`,
			`1:61: channelTypes.5: found "c\x00", want the name of a channel without spaces around it, e.g. "cloud_api"`}},
		{"no content", with(`"messageContent":[]`), []string{`1:69: messageContent: found 0 message contents, want 1 to 5 for each channel`}},
		{"five each is right", with(`"messageContent":[` + items(5) + `]`), nil},
		{"five and five is right", with(`"messageContent":[` + strings.ReplaceAll(items(5), "}", `,"channelType":"a"}`) + `,` + strings.ReplaceAll(items(5), "}", `,"channelType":"b"}`) + `]`), nil},
		{"six", with(`"messageContent":[` + items(6) + `]`), []string{
			`1:69: messageContent: the channel "a" has 6 message contents, want 1 to 5`,
			`1:69: messageContent: the channel "b" has 6 message contents, want 1 to 5`}},
		{"more than any channels take", with(`"messageContent":[` + items(11) + `]`), []string{
			`1:69: messageContent: found 11 message contents, want 1 to 5 for each channel`}},
		{"none for b", with(`"messageContent":[{"channelType":"a","body":"x"}]`), []string{
			`1:69: messageContent: the channel "b" has 0 message contents, want 1 to 5`}},
		{"channels of items", with(`"messageContent":[{"body":"x"},{"channelType":"A","body":"x"},{"channelType":null,"body":"x"}]`), []string{
			`1:98: messageContent.1.channelType: "A" is none of the campaign's channelTypes; did you mean "a"? (they are "a", "b")`,
			`1:129: messageContent.2.channelType: found null, want one of the campaign's channelTypes; leave the key out if it has no value`}},
		{"items that are nothing", with(`"messageContent":[{},"x",{"channelType":"a"}]`), []string{
			`1:70: messageContent.0: holds nothing to send, want e.g. "body": "Hello {{name}}"`,
			`1:73: messageContent.1: found a string, want an object, e.g. {"body": "Hello {{name}}"}`,
			`1:77: messageContent.2: holds nothing to send, want e.g. "body": "Hello {{name}}"`}},
		{"variables", with(`"messageContent":[{"body":"é {{a b}} {{teléfono}} {{ok}}","t":{"c":["\n{{x"]}},{"body":"{{}}","body":1}]`), []string{
			`1:81: messageContent.0.body: the variable "a b" has other characters than letters, digits and underscores`,
			`1:89: messageContent.0.body: the variable "teléfono" has other characters than letters, digits and underscores`,
			`1:123: messageContent.0.t.c.0: "{{" without "}}" after it; a variable is written {{name}}`,
			`1:140: messageContent.1.body: no name between "{{" and "}}"; a variable is written {{name}}`,
			`1:146: messageContent.1.body: the key "body" appears a second time; keep one of them`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := ParseCampaign("f", []byte(c.data))
			var want []string
			for _, w := range c.want {
				want = append(want, "f:"+w)
			}
			if diff := cmp.Diff(want, lines(problems.List)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVariablesPassesOverWhatIsBroken(t *testing.T) {
	contents := []campaign.Content{{Item: json.RawMessage(`{`)}, {Item: json.RawMessage(`{"a":"{{x","b":"{{y}}"}`)}, {Item: json.RawMessage(`{"b":["{{z}}{{y}}"]}`)}}
	if got := Variables(contents); !slices.Equal(got, []string{"y", "z"}) {
		t.Errorf("Variables = %q", got)
	}
}

// TestAcceptedContentsCompile: what ParseCampaign accepts, the template compiler
// accepts, and both see the same variables.
func TestAcceptedContentsCompile(t *testing.T) {
	for depth := range maxDepth - 3 {
		data := fmt.Sprintf(`{"id":1,"applicationId":1,"channelTypes":["a"],"messageContent":[{"x":%s"{{v}}"%s}]}`,
			strings.Repeat("[", depth), strings.Repeat("]", depth))
		c, problems := ParseCampaign("f", []byte(data))
		if problems.Count > 0 {
			t.Fatalf("depth %d: %v", depth, problems.List)
		}
		if _, err := campaign.Compile(c.Contents[0].Item, Variables(c.Contents), nil); err != nil {
			t.Fatalf("depth %d: %v", depth, err)
		}
	}
}
