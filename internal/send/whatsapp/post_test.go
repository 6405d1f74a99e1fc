package whatsapp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

const contact = "+34 666 000 111"

// TestRequest: the fake accepts every kind of message and gets all of it.
func TestRequest(t *testing.T) {
	f := newFake(t, graphfake.Options{Templates: map[string]int{"welcome/es": 1, "media/en_US": 3}})
	c := driver(t, f.url+"/", nil)
	media := `{"template":{"name":"media","language":"en_US","components":[{"type":"header","parameters":[{"type":"document","document":{"link":"https://x.example/a.pdf","filename":"{{name}}.pdf"}}]},
		{"type":"body","parameters":[{"type":"text","text":"{{name}}"},{"type":"currency","currency":{"fallback_value":"1 €","code":"EUR","amount_1000":1000}},{"type":"date_time","date_time":{"fallback_value":"today"}}]},
		{"type":"button","subType":"quickReply","index":0,"parameters":[{"type":"payload","payload":"p"}]},{"type":"button","subType":"url","index":"1","parameters":[{"type":"text","text":"{{name}}"}]},
		{"type":"button","subType":"flow","index":2,"parameters":[{"type":"action","action":{"flow_token":"x"}}]}]}}`
	for _, item := range []string{`{"body":"Hello {{name}}"}`, `{"text":{"body":"https://x.example {{name}}","preview_url":true}}`, welcome, media} {
		res := attempt(t, c, item, contact, 1)
		switch {
		case res.Verdict != send.VerdictSent:
			t.Errorf("%s: res.Verdict: got %v, want %v", item, res.Verdict, send.VerdictSent)
		case !strings.HasPrefix(res.ProviderID, "wamid."):
			t.Errorf("%s: res.ProviderID: got %q, want the prefix %q", item, res.ProviderID, "wamid.")
		case res.Detail != "":
			t.Errorf("%s: res.Detail: got %q, want none", item, res.Detail)
		case res.Code != "":
			t.Errorf("%s: res.Code: got %q, want none", item, res.Code)
		}
	}
	if faults := f.Faults(); faults != nil {
		t.Errorf("faults: %q", faults)
	}
	want := `{"messaging_product":"whatsapp","recipient_type":"individual","to":"34666000111","biz_opaque_callback_data":"20260102-000001-2-1-0123abcd",` +
		`"type":"text","text":{"body":"Hello Ann Example","preview_url":false}}`
	if got := string(f.Messages()[0].Body); got != want {
		t.Errorf("body\n%s, want\n%s", got, want)
	}
}

// A contact that is a user id goes into "recipient", and all rules for contacts hold for it.
func TestUserIDIsSentAsANumber(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	q := &quota{most: 1, seen: map[string]int{}, next: time.Now().Add(time.Hour)}
	c := driver(t, f.url, func(o *Options) { o.Quota = q })
	const id = "US.13491208655302741918"
	if err := c.CheckMessage([]byte(id), render(t, c, welcome, "Ann")); err != nil {
		t.Errorf("got %v from the check; want no error", err)
	}
	if res := attempt(t, c, welcome, id, 1); res.Verdict != send.VerdictSent {
		t.Errorf("got %+v; want sent", res)
	}
	if faults := f.Faults(); faults != nil {
		t.Errorf("got faults %q; want none", faults)
	}
	if m := f.Messages()[0]; m.To != "" || m.UserID != id {
		t.Errorf("got to %q, recipient %q; want only the recipient %q", m.To, m.UserID, id)
	}
	if res := attempt(t, c, welcome, "US.ENT.118", 1); res.Verdict != send.VerdictHold {
		t.Errorf("got %+v beyond the quota; want a hold", res)
	}
}

// TestCodes: every documented code has the verdict of the table in docs/channels.md.
func TestCodes(t *testing.T) {
	hold := func(s send.Scope) send.Result { return send.Result{Verdict: send.VerdictHold, Hold: s} }
	throttled := send.Result{Verdict: send.VerdictThrottled}
	later := send.Result{Verdict: send.VerdictRecipientBusy, RetryAfter: laterWait}
	want := map[int]send.Result{
		4: throttled, 613: throttled, 80007: throttled, 130429: throttled, 131056: {Verdict: send.VerdictRecipientBusy, RetryAfter: 4 * time.Second},
		131050: {Verdict: send.VerdictBadRecipient, OptOut: true}, 134101: later, 132069: later,
	}
	for verdict, codes := range map[send.Verdict][]int{
		send.VerdictUnknown:      {1, 2, 131000, 131016, 131057, 133004},
		send.VerdictPermanent:    {100, 131008, 131009, 131047, 131051, 131052, 131053, 131062, 132018},
		send.VerdictBadRecipient: {130472, 131021, 131026, 131049},
	} {
		for _, code := range codes {
			want[code] = send.Result{Verdict: verdict}
		}
	}
	for _, code := range []int{0, 33, 131037, 190, 3, 10, 200, 299, 131005, 368, 131031, 131042, 131045, 131048, 130497, 133010} {
		want[code] = hold(send.HoldChannel)
	}
	for _, code := range []int{132000, 132001, 132005, 132007, 132012, 132015, 132016} {
		want[code] = hold(send.HoldSending)
	}
	if len(want) != len(graphfake.Codes()) {
		t.Errorf("%d codes are looked at, %d are documented", len(want), len(graphfake.Codes()))
	}
	for _, d := range graphfake.Codes() {
		// Only the code counts: sources differ about the status.
		for _, status := range []int{d.Status, 400, 500, 200} {
			t.Run(fmt.Sprintf("%d as HTTP %d", d.Code, status), func(t *testing.T) {
				f := newFake(t, graphfake.Options{})
				f.Answers(func(graphfake.Message) graphfake.Answer {
					return graphfake.Answer{Code: d.Code, Failed: true, Status: status}
				})
				got := attempt(t, driver(t, f.url, nil), welcome, contact, 1)
				if got.Code != fmt.Sprint(d.Code) {
					t.Errorf("got code %s, want %d", got.Code, d.Code)
				}
				if !strings.Contains(got.Detail, "WhatsApp says: ") {
					t.Errorf("got detail %q, want what WhatsApp says", got.Detail)
				}
				const trace = ", fbtrace_id Az8or2yhqkZfEZ-_4Qn_Bam"
				if traced, want := strings.HasSuffix(got.Detail, trace), !ofOneMessage(got.Verdict); traced != want {
					t.Errorf("got detail %q with the trace %v, want %v", got.Detail, traced, want)
				}
				got.Code, got.Detail = "", ""
				if diff := cmp.Diff(want[d.Code], got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestPermissions: 200 to 299 concern permissions, and their neighbors don't.
func TestPermissions(t *testing.T) {
	for code := int64(200); code <= 299; code++ {
		switch a, words := meaning(code); {
		case a != holdChannel:
			t.Errorf("%d: a = %v, want %v", code, a, holdChannel)
		case !strings.Contains(words, "permission"):
			t.Errorf("%d: words = %q, want \"permission\" in it", code, words)
		}
	}
	for _, code := range []int64{-1, 5, 11, 101, 199, 300, 132002, 135000} {
		switch a, words := meaning(code); {
		case a != unlisted:
			t.Errorf("%d: a = %v, want %v", code, a, unlisted)
		case words == "":
			t.Errorf("%d: words is empty", code)
		}
	}
}

// TestAnswers has responses with more than a code, or without one.
func TestAnswers(t *testing.T) {
	type answer = graphfake.Answer
	for _, x := range []struct {
		name   string
		answer answer
		item   string
		want   send.Result
		detail string // a part of the detail
	}{
		{"accepted", answer{}, welcome, send.Result{Verdict: send.VerdictSent}, ""},
		{"held for quality", answer{MessageStatus: "held_for_quality_assessment"}, welcome, send.Result{Verdict: send.VerdictSent}, "until the template's quality"},
		{"paused", answer{MessageStatus: "paused"}, welcome, send.Result{Verdict: send.VerdictSent}, "has paused the template"},
		{"number not known", answer{Code: 100, Subcode: 33}, welcome, send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "100"}, "phone_number_id"},
		{"unlisted 4xx", answer{Code: 135000}, welcome, send.Result{Verdict: send.VerdictPermanent, Code: "135000"}, "refused the message"},
		{"unlisted 401", answer{Code: 102, Status: 401}, welcome, send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "102"}, "token_file"},
		{"unlisted, transient", answer{Code: 135000, Transient: true, RetryAfter: "30"}, welcome, send.Result{Verdict: send.VerdictRetry, Code: "135000", RetryAfter: 30 * time.Second}, ""},
		{"unlisted, 429", answer{Code: 135000, Status: 429}, welcome, send.Result{Verdict: send.VerdictThrottled, Code: "135000"}, ""},
		{"unlisted 5xx", answer{Code: 135000, Status: 500}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "135000"}, ""},
		{"listed, transient: the table stands", answer{Code: 131000, Transient: true}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "131000"}, ""},
		{"throttled with Retry-After", answer{Code: 130429, RetryAfter: "7"}, welcome, send.Result{Verdict: send.VerdictThrottled, Code: "130429", RetryAfter: 7 * time.Second}, ""},
		{"throttled with an estimate", answer{Code: 80007, RetryAfter: "7", RegainMinutes: 19}, welcome, send.Result{Verdict: send.VerdictThrottled, Code: "80007", RetryAfter: 19 * time.Minute}, ""},
		{"an absurd estimate", answer{Code: 4, RegainMinutes: 1 << 40}, welcome, send.Result{Verdict: send.VerdictThrottled, Code: "4", RetryAfter: 24 * time.Hour}, ""},
		{"the contact, longer than ours", answer{Code: 131056, RetryAfter: "3600"}, welcome, send.Result{Verdict: send.VerdictRecipientBusy, Code: "131056", RetryAfter: time.Hour}, ""},
		{"429 without an error", answer{Status: 429, Raw: "<html>", RetryAfter: "2"}, welcome, send.Result{Verdict: send.VerdictThrottled, Code: "HTTP 429", RetryAfter: 2 * time.Second}, ""},
		{"500 without an error", answer{Status: 500, Raw: "<html>"}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 500"}, "500 Internal Server Error"},
		{"503 without an error", answer{Status: 503, Raw: "{}"}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 503"}, ""},
		{"400 without an error", answer{Status: 400, Raw: "{}"}, welcome, send.Result{Verdict: send.VerdictPermanent, Code: "HTTP 400"}, ""},
		{"401 without an error", answer{Status: 401, Raw: "{}"}, welcome, send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "HTTP 401"}, "token_file"},
		{"403 without an error", answer{Status: 403, Raw: "{}"}, welcome, send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "HTTP 403"}, ""},
		{"404 without an error", answer{Status: 404, Raw: "<html>"}, welcome, send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "HTTP 404"}, "base_url"},
		{"408", answer{Status: 408, Raw: "{}"}, welcome, send.Result{Verdict: send.VerdictRetry, Code: "HTTP 408"}, ""},
		{"an error without a code", answer{Status: 400, Raw: `{"error":{"message":"x"}}`}, welcome, send.Result{Verdict: send.VerdictPermanent, Code: "HTTP 400"}, ""},
		{"a code in quotes", answer{Status: 400, Raw: `{"error":{"code":"190","error_data":"{}"}}`}, welcome, send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "190"}, ""},
		{"members of other types", answer{Status: 400, Raw: `{"error":{"message":{},"code":131026,"fbtrace_id":7,"is_transient":"no"}}`}, welcome, send.Result{Verdict: send.VerdictBadRecipient, Code: "131026"}, ""},
		{"an error that is a string", answer{Status: 400, Raw: `{"error":"no"}`}, welcome, send.Result{Verdict: send.VerdictPermanent, Code: "HTTP 400"}, ""},
		{"an id that is no string", answer{Status: 200, Raw: `{"messages":[{"id":7}]}`}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 200"}, ""},
		{"unlisted, transient, 5xx", answer{Code: 135000, Transient: true, Status: 503}, welcome, send.Result{Verdict: send.VerdictRetry, Code: "135000"}, ""},
		{"a code that is none", answer{Status: 400, Raw: `{"error":{"code":1.5}}`}, welcome, send.Result{Verdict: send.VerdictPermanent, Code: "HTTP 400"}, ""},
		{"200 without an id", answer{Status: 200, Raw: `{"messages":[]}`}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 200"}, ""},
		{"200 and no JSON", answer{Status: 200, Raw: `ok`}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 200"}, ""},
		{"an answer too long", answer{Status: 200, Raw: `{"messages":[{"id":"x"}],"x":"` + strings.Repeat("x", 1<<20) + `"}`}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 200"}, ""},
		{"reset", answer{Cut: graphfake.Reset}, welcome, send.Result{Verdict: send.VerdictUnknown}, "the request was written, but no answer came"},
		{"reset after it was taken", answer{Cut: graphfake.Unanswered}, welcome, send.Result{Verdict: send.VerdictUnknown}, ""},
		{"half an answer", answer{Cut: graphfake.Half}, welcome, send.Result{Verdict: send.VerdictUnknown, Code: "HTTP 200"}, ""},
		{"garbage", answer{Cut: graphfake.Garbage}, welcome, send.Result{Verdict: send.VerdictUnknown}, "not HTTP"},
		{"no answer in time", answer{Delay: time.Minute}, welcome, send.Result{Verdict: send.VerdictUnknown}, "nothing within 2s"},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFake(t, graphfake.Options{})
			f.Answers(func(graphfake.Message) graphfake.Answer { return x.answer })
			c := driver(t, f.url, func(o *Options) {
				if x.answer.Delay > 0 {
					o.Timeout = 2 * time.Second // enough to write the request on a busy machine
				}
			})
			got := attempt(t, c, x.item, contact, 1)
			if !strings.Contains(got.Detail, x.detail) {
				t.Errorf("got detail %q, want %q in it", got.Detail, x.detail)
			}
			if got.Verdict != send.VerdictSent && got.Detail == "" {
				t.Error("got no detail, want one")
			}
			got.Detail, got.ProviderID = "", ""
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A redirect holds the channel, and the other host doesn't get the token.
func TestRedirectGetsTheToken(t *testing.T) {
	other := newFake(t, graphfake.Options{})
	for _, status := range []int{301, 302, 303, 307, 308} {
		f := newFake(t, graphfake.Options{})
		f.Answers(func(graphfake.Message) graphfake.Answer {
			return graphfake.Answer{Status: status, Location: other.url + "/v23.0/" + phoneID + "/messages"}
		})
		res := attempt(t, driver(t, f.url, nil), welcome, contact, 1)
		if res.Verdict != send.VerdictHold {
			t.Errorf("%d: res.Verdict = %v, want %v", status, res.Verdict, send.VerdictHold)
		}
		if res.Hold != send.HoldChannel {
			t.Errorf("%d: res.Hold = %v, want %v", status, res.Hold, send.HoldChannel)
		}
		if !strings.Contains(res.Detail, "redirect") {
			t.Errorf("%d: res.Detail = %q, want \"redirect\" in it", status, res.Detail)
		}
	}
	if other.Count() != 0 {
		t.Errorf("the other server was asked: other.Count() = %v, want 0", other.Count())
	}
	if other.Faults() != nil {
		t.Errorf("the other server was asked: other.Faults() = %q, want nil", other.Faults())
	}
}

// A message that certainly was not sent is retried.
func TestNothingIsWritten(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	c := driver(t, "http://127.0.0.1:1", nil)
	switch res := attempt(t, c, welcome, contact, 1); {
	case res.Verdict != send.VerdictUnreachable:
		t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictUnreachable)
	case res.Detail != "127.0.0.1:1 can't be reached: connection refused":
		t.Errorf("res.Detail = %q, want the host and the cause", res.Detail)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	results := make([]send.Result, 1)
	c = driver(t, f.url, nil)
	c.Send(ctx, []*send.Message{newMessage(t, c, welcome, contact, 1)}, results)
	if results[0].Verdict != send.VerdictUnreachable {
		t.Errorf("results[0].Verdict = %v, want %v", results[0].Verdict, send.VerdictUnreachable)
	}
	if f.Count() != 0 {
		t.Errorf("f.Count() = %v, want 0", f.Count())
	}
	web := newTLS(t)
	for url, part := range map[string]string{web: "certificate", "https" + strings.TrimPrefix(f.url, "http"): "TLS"} {
		switch res := attempt(t, driver(t, url, nil), welcome, contact, 1); {
		case res.Verdict != send.VerdictHold:
			t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictHold)
		case res.Hold != send.HoldChannel:
			t.Errorf("res.Hold = %v, want %v", res.Hold, send.HoldChannel)
		case !strings.Contains(res.Detail, part):
			t.Errorf("res.Detail = %q, want %q in it", res.Detail, part)
		}
	}
}

// A stop before Meta's response leaves the outcome unknown.
func TestStopBeforeTheResponse(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.Answers(func(graphfake.Message) graphfake.Answer {
		cancel()
		return graphfake.Answer{Delay: time.Minute}
	})
	c := driver(t, f.url, nil)
	results := make([]send.Result, 1)
	c.Send(ctx, []*send.Message{newMessage(t, c, welcome, contact, 1)}, results)
	if results[0].Verdict != send.VerdictUnknown {
		t.Errorf("results[0].Verdict = %v, want %v", results[0].Verdict, send.VerdictUnknown)
	}
	if !strings.Contains(results[0].Detail, "the daemon stopped") {
		t.Errorf("results[0].Detail = %q, want \"the daemon stopped\" in it", results[0].Detail)
	}
}

// A message that intake would have refused isn't sent.
func TestInvalidMessageIsSent(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	c := driver(t, f.url, nil)
	good := newMessage(t, c, welcome, contact, 1)
	results := make([]send.Result, 3)
	noNumber, noContent, longKey := *good, *good, *good
	noNumber.ContactCode, noContent.Content, longKey.Key = "ann", json.RawMessage(`{"body":"x"}`), strings.Repeat("k", 513)
	c.Send(t.Context(), []*send.Message{&noNumber, &noContent, &longKey}, results)
	for i, res := range results {
		if res.Verdict != send.VerdictPermanent {
			t.Errorf("%v: res.Verdict = %v, want %v", i, res.Verdict, send.VerdictPermanent)
		}
		if res.Detail == "" {
			t.Errorf("%v: res.Detail is empty", i)
		}
	}
	if f.Count() != 0 {
		t.Errorf("%d were sent", f.Count())
	}
}

// Meta may repeat parts of a message. A Detail doesn't (docs/contract.md 12, 5).
func TestContactDataInADetail(t *testing.T) {
	f := newFake(t, graphfake.Options{})
	f.Answers(func(graphfake.Message) graphfake.Answer {
		return graphfake.Answer{Code: 131026, Details: "Message to +34 666-000-111 (34666000111) for Ann Example\nwith " + token + " failed \x00 (#131026)"}
	})
	res := attempt(t, driver(t, f.url, nil), welcome, contact, 1)
	want := `WhatsApp can't deliver to this contact: the number has no WhatsApp, an old version, or hasn't agreed to its terms; ` +
		`WhatsApp says: "Message to +(number) ((number)) for … with … failed (#131026)"`
	if res.Detail != want {
		t.Errorf("detail\n%s, want\n%s", res.Detail, want)
	}
	f.Answers(func(graphfake.Message) graphfake.Answer {
		return graphfake.Answer{Code: 100, Details: strings.Repeat("é", 5000)}
	})
	if res := attempt(t, driver(t, f.url, nil), welcome, contact, 1); len(res.Detail) > 500 {
		t.Errorf("a detail of %d bytes", len(res.Detail))
	}
}

// TestNewRefuses: the error on options that can't work doesn't contain the token.
func TestNewRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		`the access token is empty`: {PhoneNumberID: "1"},
		`the access token contains a space or an invalid character: it must be one line`: {PhoneNumberID: "1", Token: "a\nb"},
	} {
		if _, err := New(o); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestContactWait: 4, 16, 64, 256 s, and no more.
func TestContactWait(t *testing.T) {
	for attempt, want := range []time.Duration{4, 4, 16, 64, 256, 256, 256} {
		if got := contactWait(attempt); got != want*time.Second {
			t.Errorf("attempt %d waits %v, want %v", attempt, got, want*time.Second)
		}
	}
}

func TestRequestedWait(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0, "99999999999": maxRequestedWait, "999999999": 24 * time.Hour,
		"Sun, 01 Mar 2026 12:05:00 GMT": 5 * time.Minute, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := requestedWait(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After %q asks for %v, want %v", value, got, want)
		}
	}
	for value, want := range map[string]time.Duration{
		`{"1":[{"estimated_time_to_regain_access":0}],"2":[{"estimated_time_to_regain_access":5},{"estimated_time_to_regain_access":2}]}`: 5 * time.Minute,
		`{"1":[{"estimated_time_to_regain_access":-5}]}`: 0, `{"1":"x"}`: 0, `[]`: 0, `{"1":[{"estimated_time_to_regain_access":1e300}]}`: 24 * time.Hour,
	} {
		if got := requestedWait(http.Header{"X-Business-Use-Case-Usage": {value}}, now); got != want {
			t.Errorf("usage %q asks for %v, want %v", value, got, want)
		}
	}
}

// ofOneMessage reports whether a verdict refuses one message. The texts of equal refusals must be
// equal, so they have no fbtrace_id.
func ofOneMessage(v send.Verdict) bool {
	return v == send.VerdictPermanent || v == send.VerdictBadRecipient
}
