package whatsapp

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send/whatsapp/graphfake"

	"campaignd/internal/receipts"
)

const (
	secret = "app-secret"
	verify = "verify-me"
)

// receiver keeps its events.
type receiver struct {
	statuses    []receipts.Status
	preferences []receipts.Preference
	replies     []receipts.Reply
	templates   []receipts.TemplateChange
	moves       []receipts.Move
	ignored     map[receipts.Ignored]int
	calls       int
	err         error
}

func (r *receiver) Receive(_ context.Context, e receipts.Events) error {
	if len(e.Statuses)+len(e.Preferences) > 0 {
		r.calls++
	}
	if r.err != nil {
		return r.err
	}
	r.statuses, r.preferences = append(r.statuses, e.Statuses...), append(r.preferences, e.Preferences...)
	r.replies = append(r.replies, e.Replies...)
	r.templates, r.moves = append(r.templates, e.Templates...), append(r.moves, e.Moves...)
	for why, n := range e.Ignored {
		if r.ignored == nil {
			r.ignored = map[receipts.Ignored]int{}
		}
		r.ignored[why] += n
	}
	return nil
}

func hooks(t *testing.T, r receipts.Receiver) (*Hooks, *[]string) {
	t.Helper()
	var said []string
	h, err := NewHooks([]Account{{PhoneNumberID: phoneID, AppSecret: secret, VerifyToken: verify}, {PhoneNumberID: "2", AppSecret: "other-secret", VerifyToken: "other-verify"}}, r, func(err error) { said = append(said, err.Error()) })
	if err != nil {
		t.Fatal(err)
	}
	return h, &said
}

func call(h http.Handler, body []byte, signatures ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/hooks/whatsapp", strings.NewReader(string(body)))
	for _, s := range signatures {
		req.Header.Add("X-Hub-Signature-256", s)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

// Each status is passed on with all its facts.
func TestStatuses(t *testing.T) {
	r := &receiver{}
	h, said := hooks(t, r)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	body := graphfake.Notification(phoneID,
		graphfake.Status{ID: "wamid.1", Status: "read", At: at, Recipient: "34666000111", Key: "k-1"},
		graphfake.Status{ID: "wamid.1", Status: "sent", At: at, Recipient: "34666000111"},
		graphfake.Status{ID: "wamid.2", Status: "failed", At: at, Recipient: "34666000112", Key: "k-2", Code: 131026},
		graphfake.Status{ID: "wamid.3", Status: "failed", At: at, Recipient: "34666000113", Key: "k-3", Code: 131050},
		graphfake.Status{ID: "wamid.4", Status: "deleted", At: at, Recipient: "34666000113"},
		graphfake.Status{ID: "", Status: "sent", At: at, Recipient: "34666000113"},
	)
	for range 2 { // repeated calls are passed on; the receiver ignores duplicates
		if rec := call(h, body, graphfake.Sign(secret, body)); rec.Code != 200 {
			t.Fatalf("answered %d %s", rec.Code, rec.Body)
		}
	}
	want := []receipts.Status{
		{Account: phoneID, ProviderID: "wamid.1", Key: "k-1", Contact: "34666000111", Delivery: receipts.DeliveryRead, At: at},
		{Account: phoneID, ProviderID: "wamid.1", Contact: "34666000111", Delivery: receipts.DeliverySent, At: at},
		{Account: phoneID, ProviderID: "wamid.2", Key: "k-2", Contact: "34666000112", Delivery: receipts.DeliveryFailed, At: at, Code: "131026",
			Detail: `WhatsApp can't deliver to this contact: the number has no WhatsApp, an old version, or hasn't agreed to its terms; WhatsApp says: "Message undeliverable"`},
		{Account: phoneID, ProviderID: "wamid.3", Key: "k-3", Contact: "34666000113", Delivery: receipts.DeliveryFailed, At: at, Code: "131050", OptedOut: true,
			Detail: `the contact has stopped marketing from this number; WhatsApp says: "User has stopped marketing messages"`},
	}
	if diff := cmp.Diff(append(want, want...), r.statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if *said != nil {
		t.Errorf("said %q", *said)
	}
}

func TestPreferences(t *testing.T) {
	r := &receiver{}
	h, _ := hooks(t, r)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{"stop", "resume", "perhaps"} {
		body := graphfake.OptOut(phoneID, "34666000111", value, at)
		if rec := call(h, body, graphfake.Sign(secret, body)); rec.Code != 200 {
			t.Fatalf("%s is answered %d", value, rec.Code)
		}
	}
	want := []receipts.Preference{{Account: phoneID, Contact: "34666000111", Stop: true}, {Account: phoneID, Contact: "34666000111"}}
	switch diff := cmp.Diff(want, r.preferences); {
	case diff != "":
		t.Errorf("want no difference:\n%s", diff)
	case r.ignored[receipts.IgnoredPreference] != 1:
		t.Errorf("r.ignored[receipts.IgnoredPreference] = %v, want 1", r.ignored[receipts.IgnoredPreference])
	}
}

// Only events signed by the app of their number are read.
func TestSignatureIsWrong(t *testing.T) {
	body := graphfake.OptOut(phoneID, "34666000111", "stop", time.Unix(1_800_000_000, 0))
	good := graphfake.Sign(secret, body)
	for name, signatures := range map[string][]string{
		"none": nil, "empty": {""}, "two": {good, good}, "another body's": {graphfake.Sign(secret, []byte("x"))}, "another secret's": {graphfake.Sign("x", body)},
		"without its prefix": {strings.TrimPrefix(good, "sha256=")}, "short": {good[:40]}, "no hex": {"sha256=" + strings.Repeat("z", 64)}, "sha1": {"sha1=" + strings.TrimPrefix(good, "sha256=")},
	} {
		t.Run(name, func(t *testing.T) {
			r := &receiver{}
			h, said := hooks(t, r)
			switch rec := call(h, body, signatures...); {
			case rec.Code != http.StatusUnauthorized:
				t.Errorf("rec.Code = %v, want %v\n%+v", rec.Code, http.StatusUnauthorized, *said)
			case r.calls != 0:
				t.Errorf("r.calls = %v, want 0", r.calls)
			case len(*said) != 1:
				t.Errorf("len(*said) = %v, want 1: %+v", len(*said), *said)
			}
		})
	}
	r := &receiver{}
	h, _ := hooks(t, r)
	switch rec := call(h, body, graphfake.Sign("other-secret", body)); {
	case rec.Code != 200:
		t.Errorf("rec.Code = %v, want 200", rec.Code)
	case r.calls != 0:
		t.Errorf("r.calls = %v, want 0", r.calls)
	}
	switch rec := call(h, body, strings.ToUpper(good[:0])+good); {
	case rec.Code != 200:
		t.Errorf("rec.Code = %v, want 200", rec.Code)
	case r.calls != 1:
		t.Errorf("r.calls = %v, want 1", r.calls)
	}
}

// User ids are found under every name that Meta's pages use for them, and each event that isn't passed on
// is counted.
func TestEventIsDroppedSilently(t *testing.T) {
	r := &receiver{}
	h, _ := hooks(t, r)
	value := func(field, members string) string {
		return `{"field":"` + field + `","value":{"metadata":{"phone_number_id":"` + phoneID + `"},` + members + `}}`
	}
	body := []byte(`{"object":"whatsapp_business_account","entry":[{"changes":[` + strings.Join([]string{
		value("messages", `"statuses":[{"id":"a","status":"sent","recipient_user_id":"US.1"}]`),
		value("messages", `"statuses":[{"id":"b","status":"sent","user_id":"US.2"}]`),
		value("messages", `"statuses":[{"id":"c","status":"sent","recipient_id":"US.3"}]`),
		value("messages", `"contacts":[{"wa_id":"34666000111","user_id":"US.4"}],"statuses":[{"id":"d","status":"sent","recipient_id":"34666000111"}]`),
		value("user_preferences", `"user_preferences":[{"user_id":"US.5","value":"stop","category":"marketing_messages"}]`),
		value("user_preferences", `"contacts":[{"user_id":"US.6"}],"user_preferences":[{"value":"stop"}]`),
		value("user_preferences", `"user_preferences":[{"value":"stop"}]`),
		value("messages", `"statuses":[{"id":"e","status":"warmed"}]`),
		value("messages", `"messages":[{"from":"1"},{"from":"2"}]`),
		value("new_field", `"news":[1]`),
		`{"field":"message_template_status_update","value":{"event":"PAUSED"}}`,
		`{"field":"messages","value":{"metadata":{"phone_number_id":"77"},"statuses":[]}}`,
	}, ",") + `]}]}`)
	if rec := call(h, body, graphfake.Sign(secret, body)); rec.Code != http.StatusOK {
		t.Fatalf("got %d; want 200", rec.Code)
	}
	var ids []string
	for _, s := range r.statuses {
		ids = append(ids, s.UserID)
	}
	for _, p := range r.preferences {
		ids = append(ids, p.UserID)
	}
	if diff := cmp.Diff([]string{"US.1", "US.2", "US.3", "US.4", "US.5", "US.6"}, ids); diff != "" {
		t.Errorf("user ids (-want +got):\n%s", diff)
	}
	want := map[receipts.Ignored]int{receipts.IgnoredPreference: 1, receipts.IgnoredStatus: 1, receipts.IgnoredMessage: 2, receipts.IgnoredOther: 2, receipts.IgnoredOtherNumber: 1}
	if diff := cmp.Diff(want, r.ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
}

// An invalid event is ignored, a body that isn't a webhook is refused, and a long one isn't read.
func TestHookBodyIsInvalid(t *testing.T) {
	wrap := func(value string) string {
		return `{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":` + value + `}]}]}`
	}
	meta := `"metadata":{"phone_number_id":"` + phoneID + `"}`
	for body, want := range map[string]int{
		``: 400, `[]`: 400, `{`: 400, `{}`: 400, `{"object":"page"}`: 400,
		`{"object":"whatsapp_business_account"}`: 200,
		wrap(`null`):                             200,
		wrap(`"x"`):                              200,
		wrap(`{` + meta + `,"messages":[{"from":"1","text":{"body":"hi"}}]}`):                                                            200,
		wrap(`{` + meta + `,"statuses":[null,7,{"id":1},{"id":"a","status":"sent","timestamp":"x","recipient_id":"US.123"}]}`):           200,
		wrap(`{` + meta + `,"statuses":[{"id":"a","status":"failed","timestamp":-1,"errors":[]}]}`):                                      200,
		wrap(`{` + meta + `,"user_preferences":[{"wa_id":"x","value":"stop"},{"wa_id":"34666000111","value":"resume","category":"x"}]}`): 200,
		wrap(`{"metadata":{"phone_number_id":"77"},"statuses":[{"id":"a","status":"sent"}]}`):                                            200,
	} {
		r := &receiver{}
		h, _ := hooks(t, r)
		if rec := call(h, []byte(body), graphfake.Sign(secret, []byte(body))); rec.Code != want {
			t.Errorf("%s is answered %d, want %d", body, rec.Code, want)
		}
		for _, s := range r.statuses {
			if !s.At.IsZero() {
				t.Errorf("%s gives the time %s, want none", body, s.At)
			}
			if s.Contact != "" {
				t.Errorf("%s gives the contact %q, want none", body, s.Contact)
			}
			if s.Delivery == receipts.DeliveryFailed && s.Detail == "" {
				t.Errorf("%s gives a failure without detail", body)
			}
		}
	}
	r := &receiver{}
	h, _ := hooks(t, r)
	long := []byte(wrap(`"` + strings.Repeat("x", hookLimit) + `"`))
	if rec := call(h, long, graphfake.Sign(secret, long)); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body is answered %d", rec.Code)
	}
}

// Meta is asked to call again after the receiver failed.
func TestReceiverFails(t *testing.T) {
	r := &receiver{err: errors.New("disk full")}
	h, said := hooks(t, r)
	body := graphfake.OptOut(phoneID, "34666000111", "stop", time.Now())
	rec := call(h, body, graphfake.Sign(secret, body))
	switch {
	case rec.Code != http.StatusInternalServerError:
		t.Errorf("rec.Code: got %v, want %v", rec.Code, http.StatusInternalServerError)
	case strings.Contains(rec.Body.String(), "disk"):
		t.Errorf(`rec.Body.String(): got %q, want no "disk" in it`, rec.Body.String())
	case len(*said) != 1:
		t.Errorf("len(*said): got %v, want 1: %+v", len(*said), *said)
	case (*said)[0] != "store webhook: disk full":
		t.Errorf(`(*said)[0]: got %q, want "store webhook: disk full"`, (*said)[0])
	}
}

func TestVerification(t *testing.T) {
	h, _ := hooks(t, &receiver{})
	get := func(q url.Values) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/hooks/whatsapp"+"?"+q.Encode(), nil))
		return rec
	}
	form := func(mode, token, challenge string) url.Values {
		return url.Values{"hub.mode": {mode}, "hub.verify_token": {token}, "hub.challenge": {challenge}}
	}
	for _, token := range []string{verify, "other-verify"} {
		switch rec := get(form("subscribe", token, "<1158201444>")); {
		case rec.Code != 200:
			t.Errorf("rec.Code = %v, want 200", rec.Code)
		case rec.Body.String() != "<1158201444>":
			t.Errorf("rec.Body = %q, want \"<1158201444>\"", rec.Body.String())
		case !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain"):
			t.Errorf("Content-Type = %q, want \"text/plain\" at the start", rec.Header().Get("Content-Type"))
		}
	}
	for name, q := range map[string]url.Values{
		"nothing": {}, "wrong token": form("subscribe", "x", "1"), "no token": form("subscribe", "", "1"), "mode": form("unsubscribe", verify, "1"),
		"no challenge": form("subscribe", verify, ""), "long challenge": form("subscribe", verify, strings.Repeat("1", 257)),
	} {
		if rec := get(q); rec.Code != http.StatusForbidden {
			t.Errorf("%s is answered %d", name, rec.Code)
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodPut, "/hooks/whatsapp", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("rec.Code = %v, want %v", rec.Code, http.StatusMethodNotAllowed)
	}
	if rec.Header().Get("Allow") != "GET, POST" {
		t.Errorf("Allow = %q, want \"GET, POST\"", rec.Header().Get("Allow"))
	}
	for _, a := range []Account{{}, {PhoneNumberID: "1", VerifyToken: "x"}, {PhoneNumberID: "1", AppSecret: "x"}} {
		if _, err := NewHooks([]Account{a}, &receiver{}, nil); err == nil {
			t.Errorf("account %+v was taken", a)
		}
	}
}
