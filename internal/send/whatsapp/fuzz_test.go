package whatsapp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"campaignd/internal/campaign"
	contacts "campaignd/internal/contact"
	"campaignd/internal/receipts"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// FuzzMessage: an item that compiles, with a cell that passes the check, becomes a request
// that the fake accepts.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"body":"Hello {{name}}"}`), "Ann", "+34 666 000 111")
	f.Add([]byte(`{"body":"{{name}}"}`), "", "34666000111")
	f.Add([]byte(`{"body":"Hello {{name}}"}`), strings.Repeat("x", maxBody), "34666000111")
	f.Add([]byte(welcome), "five     spaces", "34666000111")
	f.Add([]byte(`{"template":{"name":"{{name}}","language":{"code":"{{name}}"},"components":[{"type":"button","subType":"quickReply","index":0,"parameters":[{"type":"payload","payload":"{{name}}"}]}]}}`), "en", "1234567")
	f.Add([]byte(`{"template":{"name":"a","language":"es","components":[{"type":"header","parameters":[{"type":"image","image":{"link":"https://x/{{name}}"}}]}]}}`), "a b", "1234567")
	f.Add([]byte(`{"template":{"name":"a","language":"es","components":[{"type":"body","parameters":[{"type":"dateTime","dateTime":{"fallback_value":"{{name}}","day_of_week":5}}]}]}}`), "", "1234567")
	c, err := New(Options{PhoneNumberID: phoneID, Token: token})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, item []byte, cell, to string) {
		template, err := c.Compile(item, []string{"name"})
		if err != nil {
			return
		}
		var rows campaign.Rows
		rows.Reset(0, 1)
		rows.Lines, rows.Channels = append(rows.Lines, 2), append(rows.Channels, 0)
		rows.Values[0].AppendString(cell)
		content := template.Append(nil, &rows, 0)
		normal, why := contacts.Sent().Normalize(nil, []byte(to))
		if why.Code != "" {
			return
		}
		if err := c.CheckMessage(normal.To, content); err != nil {
			if template.MaxLen(len(cell)) <= c.AcceptsUpTo(template) && c.CheckContact(normal.To) == nil {
				t.Errorf("%q with %q needs no check, but: %v", item, cell, err)
			}
			return
		}
		recipient, err := parseRecipient(nil, normal.To)
		if err != nil {
			t.Fatal(err)
		}
		body := request(&send.Message{Key: "k", Content: content}, recipient)
		if wrong := graphfake.Validate(body); wrong != "" {
			t.Errorf("%q with %q passed the check: %s in %s", item, cell, wrong, body)
		}
	})
}

// FuzzReply: every response gets a verdict with a text that contains no phone number.
func FuzzReply(f *testing.F) {
	f.Add(400, []byte(`{"error":{"message":"(#131026) x","code":131026,"error_data":{"details":"to 34666000111"},"fbtrace_id":"A1"}}`), "7", `{"1":[{"estimated_time_to_regain_access":3}]}`)
	f.Add(200, []byte(`{"messages":[{"id":"wamid.1","message_status":"paused"}]}`), "", "")
	f.Add(500, []byte(`{"error":{"code":"2","is_transient":true}}`), "Sun, 01 Mar 2026 12:05:00 GMT", "[]")
	f.Fuzz(func(t *testing.T, status int, body []byte, after, usage string) {
		header := http.Header{"Retry-After": {after}, "X-Business-Use-Case-Usage": {usage}}
		v := classify(status, header, body, 1, time.Unix(1_800_000_000, 0))
		detail := v.Detail + v.quote(token, "34666000111", nil)
		switch {
		case !v.Verdict.Valid():
			t.Errorf("no verdict: %+v", v)
		case v.Verdict != send.VerdictSent && v.Detail == "":
			t.Errorf("no word: %+v", v)
		case v.Verdict == send.VerdictSent && (v.ProviderID == "" || status < 200 || status > 299):
			t.Errorf("sent by %d %s", status, body)
		case (v.Verdict == send.VerdictHold) != (v.Hold != 0):
			t.Errorf("hold of nothing: %+v", v)
		case v.RetryAfter < 0 || v.RetryAfter > maxRequestedWait || v.RetryAfter > 0 && v.Verdict != send.VerdictRetry && v.Verdict != send.VerdictThrottled && v.Verdict != send.VerdictRecipientBusy:
			t.Errorf("wait of %v: %+v", v.RetryAfter, v)
		case strings.Contains(detail, "34666000111") || strings.Contains(detail, token) || !utf8.ValidString(detail):
			t.Errorf("detail %q", detail)
		}
	})
}

// FuzzHook: no signed body breaks the parser, and its events are valid.
func FuzzHook(f *testing.F) {
	at := time.Unix(1_800_000_000, 0)
	f.Add(graphfake.Notification(phoneID, graphfake.Status{ID: "wamid.1", Status: "failed", At: at, Recipient: "34666000111", Key: "k", Code: 131050}))
	f.Add(graphfake.OptOut(phoneID, "34666000111", "stop", at))
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := parseHook(body, signers{map[string]bool{phoneID: true}, map[string]bool{"102290129340398": true}})
		if err != nil && events.Statuses != nil {
			t.Error("both events and an error")
		}
		for _, s := range events.Statuses {
			switch {
			case s.Account != phoneID:
				t.Errorf("s.Account: got %v, want %v", s.Account, phoneID)
			case s.ProviderID == "":
				t.Error(`s.ProviderID: got ""`)
			case !s.Delivery.Known():
				t.Error("s.Delivery.Known(): got false, want true")
			case s.Delivery == receipts.DeliveryFailed && s.Detail == "":
				t.Error(`s.Delivery == receipts.DeliveryFailed && s.Detail == "": got true, want false`)
			case strings.Trim(s.Contact, "0123456789") != "":
				t.Errorf(`strings.Trim(s.Contact, "0123456789"): got %q, want none`, strings.Trim(s.Contact, "0123456789"))
			case s.Contact != "" && strings.Contains(s.Detail, s.Contact):
				t.Error(`s.Contact != "" && strings.Contains(s.Detail, s.Contact): got true, want false`)
			}
		}
		for _, p := range events.Preferences {
			if p.Contact+p.UserID == "" {
				t.Error("p.Contact + p.UserID is empty")
			}
			if strings.Trim(p.Contact, "0123456789") != "" {
				t.Errorf("strings.Trim(p.Contact, \"0123456789\") = %q, want none", strings.Trim(p.Contact, "0123456789"))
			}
		}
	})
}

// FuzzContent: the check accepts only contents in Compile's form, and never panics.
func FuzzContent(f *testing.F) {
	f.Add([]byte(`{"type":"text","text":{"body":"x","preview_url":false}}`))
	f.Add([]byte(`{"type":"template","template":{"name":"a","language":{"policy":"deterministic","code":"es"},"components":[{"type":"body","parameters":[{"type":"text","text":"x"}]}]}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if checkContent(content) == nil && !bytes.HasPrefix(content, []byte(`{"type":"te`)) {
			t.Errorf("%q passed", content)
		}
		var s string
		if quoted := append(append([]byte{'"'}, content...), '"'); json.Unmarshal(quoted, &s) == nil && utf8.Valid(content) {
			if got := measure(content).chars; got != utf8.RuneCountInString(s) && !strings.Contains(s, "\ufffd") {
				t.Errorf("%q measures %d characters, has %d", content, got, utf8.RuneCountInString(s))
			}
		}
	})
}
