package whatsapp

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

const businessAccount = "102290129340398"

// memoryRecords keeps records in memory.
type memoryRecords map[string][]byte

func (m memoryRecords) Record(name string) ([]byte, error)        { return m[name], nil }
func (m memoryRecords) PutRecord(name string, value []byte) error { m[name] = value; return nil }

// account returns a fake with some templates, and a channel of it.
func account(t *testing.T, records config.Records) (*graphfake.Server, *Channel) {
	t.Helper()
	fake := graphfake.New(graphfake.Options{PhoneNumberID: phoneID, Token: token})
	welcome := graphfake.NewTemplate("welcome", "es", "Hola {{1}}, hasta el {{2}}. {{1}}")
	named := graphfake.NewTemplate("offer", "en_US", "Hello {{name}}, {{amount}} off")
	named.Format = "NAMED"
	named.Components = append(named.Components, map[string]any{"type": "HEADER", "format": "IMAGE"}, map[string]any{"type": "BUTTONS", "buttons": []any{
		map[string]any{"type": "QUICK_REPLY", "text": "Stop"}, map[string]any{"type": "URL", "text": "See", "url": "https://shop.example/{{1}}"}}})
	paused := graphfake.NewTemplate("winter", "es", "Hola")
	paused.Status = "PAUSED"
	fake.SetTemplates(welcome, named, paused, graphfake.NewTemplate("welcome", "fr", "Salut {{1}}"))
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	c, err := New(Options{BaseURL: server.URL, Version: defaultVersion, PhoneNumberID: phoneID, Timeout: 10 * time.Second, Token: token, BusinessAccountID: businessAccount, TemplatesRefresh: time.Hour, Records: records})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return fake, c
}

const (
	bodyTwo     = `{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}, {"type": "text", "text": "{{day}}"}]}`
	offerBody   = `{"type": "body", "parameters": [{"type": "text", "parameter_name": "name", "text": "{{name}}"}, {"type": "text", "parameter_name": "amount", "text": "5"}]}`
	imageHeader = `{"type": "header", "parameters": [{"type": "image", "image": {"link": "https://shop.example/a.jpg"}}]}`
	button      = `{"type": "button", "sub_type": "url", "index": 1, "parameters": [{"type": "text", "text": "a"}]}`
)

func templateItem(name, language string, components ...string) json.RawMessage {
	return json.RawMessage(`{"template": {"name": "` + name + `", "language": "` + language + `", "components": [` + strings.Join(components, ",") + `]}}`)
}

// Meta would refuse every message of these items; the check says what Meta has.
func TestTemplateIsDifferentAtMeta(t *testing.T) {
	_, c := account(t, nil)
	for name, x := range map[string]struct {
		item json.RawMessage
		want string // part of the error; "": none
	}{
		"right":             {templateItem("welcome", "es", bodyTwo), ""},
		"right, named":      {templateItem("offer", "en_US", imageHeader, offerBody, button), ""},
		"unknown name":      {templateItem("welcom", "es", bodyTwo), `the account has no template "welcom"; did you mean "welcome"?`},
		"other language":    {templateItem("welcome", "de", bodyTwo), `the account has the template "welcome" in es, fr, not in de`},
		"paused":            {templateItem("winter", "es"), `"winter" (es) is PAUSED at Meta`},
		"too few":           {templateItem("welcome", "fr", bodyTwo), "the campaign's body has 2 parameters, the template's 1 (1)"},
		"none":              {templateItem("welcome", "es"), "the campaign's body has 0 parameters, the template's 2 (1, 2)"},
		"no header":         {templateItem("offer", "en_US", offerBody, button), "its header needs an image, and the campaign has none"},
		"other header":      {templateItem("offer", "en_US", strings.ReplaceAll(imageHeader, "image", "video"), offerBody, button), "its header needs an image, and the campaign has video"},
		"header too much":   {templateItem("welcome", "es", imageHeader, bodyTwo), "the template has no header"},
		"names left out":    {templateItem("offer", "en_US", imageHeader, bodyTwo, button), "give each a parameter_name (name, amount)"},
		"names not wanted":  {templateItem("welcome", "es", offerBody), "are numbered: leave parameter_name out"},
		"wrong name":        {templateItem("offer", "en_US", imageHeader, strings.ReplaceAll(offerBody, `"amount"`, `"sum"`), button), `its body has no parameter "sum"; it has: name, amount`},
		"no button":         {templateItem("offer", "en_US", imageHeader, offerBody), "its button 1 (url) needs a parameter, and the campaign has none"},
		"other button":      {templateItem("offer", "en_US", imageHeader, offerBody, strings.ReplaceAll(button, "1", "0"), button), "its button 0 is quick_reply, the campaign's is url"},
		"button too many":   {templateItem("welcome", "es", bodyTwo, strings.ReplaceAll(button, "1", "2")), "the campaign has a button 2; the template has 0"},
		"differs by row":    {templateItem("{{name}}", "es", bodyTwo), ""},
		"text without more": {json.RawMessage(`{"body": "hi"}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.CheckItem(t.Context(), x.item)
			switch {
			case x.want == "" && err != nil:
				t.Errorf("got %v", err)
			case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)):
				t.Errorf("got %v, want %q", err, x.want)
			}
		})
	}
}

func TestFreeTextAlwaysWarns(t *testing.T) {
	_, c := account(t, nil)
	if got, err := c.CheckItem(t.Context(), json.RawMessage(`{"body": "hi"}`)); err != nil || !strings.Contains(strings.Join(got, ""), "last 24 hours") {
		t.Errorf("got %q, %v", got, err)
	}
}

// All pages are read from the configured host, in whatever pieces Meta gives them.
func TestTemplatesOfLaterPagesAreMissing(t *testing.T) {
	fake, c := account(t, nil)
	fake.PageTemplates(1)
	list, ok, err := c.Templates(t.Context())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	var got []string
	for _, x := range list {
		got = append(got, x.Name+" "+x.Language+" "+x.Status+": "+strings.Join(x.Parameters, ", "))
	}
	want := []string{"welcome es APPROVED: body 1, body 2", "offer en_US APPROVED: header image, body name, body amount, button 1 url", "winter es PAUSED: ", "welcome fr APPROVED: body 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := fake.TemplateRequests(); n != 4 || len(fake.Faults()) > 0 {
		t.Errorf("%d requests, faults %q; want 4", n, fake.Faults())
	}
}

// What keeps the templates from being read is said in words that help.
func TestTemplatesCannotBeRead(t *testing.T) {
	for name, x := range map[string]struct {
		answer graphfake.Answer
		want   string
	}{
		"permission":      {graphfake.Answer{Code: 200}, "the token lacks the permission whatsapp_business_management"},
		"permission, 10":  {graphfake.Answer{Code: 10}, "the token lacks the permission whatsapp_business_management"},
		"unknown account": {graphfake.Answer{Code: 100, Subcode: 33}, "business_account_id, or the token lacks the permission whatsapp_business_management"},
		"rate":            {graphfake.Answer{Code: 80007, RetryAfter: "120"}, "makes too many calls"},
		"token":           {graphfake.Answer{Code: 190}, "access token has expired"},
		"no JSON":         {graphfake.Answer{Raw: "<html>", Status: 502}, "HTTP 502"},
		"redirect":        {graphfake.Answer{Location: "https://example.com"}, "HTTP 307"},
	} {
		t.Run(name, func(t *testing.T) {
			fake, c := account(t, nil)
			fake.RefuseTemplates(&x.answer)
			_, _, err := c.Templates(t.Context())
			if err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want %q", err, x.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the token is in %q", err)
			}
			before := fake.TemplateRequests()
			for range 3 { // no storm: the next try is later
				warnings, err := c.CheckItem(t.Context(), templateItem("unknown", "es"))
				if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "isn't compared") {
					t.Errorf("got %q, %v; want a warning", warnings, err)
				}
			}
			if n := fake.TemplateRequests() - before; n > 2 { // a refused token is read again once
				t.Errorf("%d requests, want one try", n)
			}
		})
	}
}

// While Meta can't be reached the last copy counts, also after a restart, and the drop is told.
func TestLastCopyIsForgotten(t *testing.T) {
	records := memoryRecords{}
	_, c := account(t, records)
	if _, err := c.CheckItem(t.Context(), templateItem("welcome", "es", bodyTwo)); err != nil {
		t.Fatal(err)
	}
	later, err := New(Options{BaseURL: "http://127.0.0.1:1", PhoneNumberID: phoneID, Token: token, BusinessAccountID: businessAccount, TemplatesRefresh: time.Nanosecond, Records: records})
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := later.CheckItem(t.Context(), templateItem("welcome", "es", bodyTwo))
	switch {
	case err != nil:
		t.Error(err)
	case len(warnings) != 1:
		t.Errorf("len(warnings) = %v, want 1: %+v", len(warnings), warnings)
	case !strings.Contains(warnings[0], "earlier copy of the account's templates: WhatsApp can't be reached"):
		t.Errorf("warnings[0] = %q, want %q in it", warnings[0], "earlier copy of the account's templates: WhatsApp can't be reached")
	}
	if _, err := later.CheckItem(t.Context(), templateItem("welcome", "de", bodyTwo)); err == nil {
		t.Error("the copy isn't used")
	}
	if again, err := later.Refresh(t.Context()); err == nil || again <= 0 {
		t.Errorf("refresh: %v, %v", again, err)
	}
}

// A template that Meta pauses holds its sending before the next message, and one that is approved again doesn't.
func TestPausedTemplateIsSent(t *testing.T) {
	fake, c := account(t, nil)
	content, err := normalize(templateItem("welcome", "es", bodyTwo))
	if err != nil {
		t.Fatal(err)
	}
	sendOne := func() send.Result {
		m := send.Message{Key: "k", ContactCode: "34666000111", Content: content[:len(content)-1], Attempt: 1}
		results := make([]send.Result, 1)
		c.Send(context.Background(), []*send.Message{&m}, results)
		return results[0]
	}
	if r := sendOne(); r.Verdict != send.VerdictSent {
		t.Fatalf("first %+v", r)
	}
	event := func(what string) {
		r := &receiver{}
		h, err := NewHooks([]Account{{PhoneNumberID: phoneID, BusinessAccountID: businessAccount, AppSecret: secret, VerifyToken: verify}}, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body := fake.TemplateStatus(what, "welcome", "es")
		call(h, body, graphfake.Sign(secret, body))
		if len(r.templates) != 1 {
			t.Fatalf("%d events", len(r.templates))
		}
		e := r.templates[0]
		c.TemplateChanged(e.Account, e.Name, e.Language, e.Status)
	}
	event("PAUSED")
	switch r := sendOne(); {
	case r.Verdict != send.VerdictHold:
		t.Errorf("paused: r.Verdict = %v, want %v", r.Verdict, send.VerdictHold)
	case r.Hold != send.HoldSending:
		t.Errorf("paused: r.Hold = %v, want %v", r.Hold, send.HoldSending)
	case !strings.Contains(r.Detail, "the template welcome (es) is PAUSED"):
		t.Errorf("paused: r.Detail = %q, want \"the template welcome (es) is PAUSED\" in it", r.Detail)
	}
	if n := fake.Count(); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	event("APPROVED")
	if r := sendOne(); r.Verdict != send.VerdictSent {
		t.Errorf("approved again: %+v", r)
	}
}
