package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send"
)

// sendTo sends one message with a channel to url.
func sendTo(t *testing.T, url string, change func(*Channel)) send.Result {
	t.Helper()
	c, err := New(Options{URL: url, Secret: secret, Timeout: 10 * time.Second, Headers: map[string]string{"Authorization": "Bearer s3cr3t-token"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if change != nil {
		change(c)
	}
	m := message()
	m.To, m.RowReference, m.Content = "34600000001", "CRM-77812", json.RawMessage(`{"body":"Hello José Pérez","vars":["Calle Mayor"]}`)
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{m}, results)
	return results[0]
}

// The reason of 20 equal refusals didn't say what the receiver says. It does, without contact data and secrets.
func TestRefusalSaysWhatTheReceiverSays(t *testing.T) {
	for name, x := range map[string]struct {
		status     int
		body, want string
	}{
		"JSON":                  {422, `{"error":{"code":17,"message":"template spring is unknown"}}`, "error: code: 17, message: template spring is unknown"},
		"problem details":       {400, `{"title":"Invalid","errors":["vars missing",null,"no body"],"ok":false}`, "errors: vars missing, no body, ok: false, title: Invalid"},
		"text":                  {400, "account is\n suspended\x1b[0m", `account is suspended\u001b[0m`},
		"page":                  {400, "<html><head><title>400 No required SSL certificate was sent</title></head><body>x</body></html>", "400 No required SSL certificate was sent"},
		"page without a title":  {400, "<p>no</p>", ""},
		"nothing":               {422, "", ""},
		"a number":              {422, `{"error":"34600000001 is invalid, as is +34 600 000 001, 600-000-001"}`, "error: … is invalid, as is …"},
		"another number":        {422, `{"number":34666111222}`, "number: …"},
		"a stranger's number":   {422, `{"error":"call +34 911 222 333, not 900-12"}`, "error: call … not 900-12"},
		"an address":            {422, `unknown <ana@example.com>`, "unknown …"},
		"a name of the content": {422, `{"error":"josé pérez, calle mayor: not a customer"}`, "error: … not a customer"},
		"a reference":           {422, `no such row: CRM-77812`, "no such row: …"},
		"a secret":              {401, `the key s3cr3t-token is unknown`, "the key … is unknown"},
		"only what is hidden":   {422, `34600000001`, ""},
		"a long text":           {500, strings.Repeat("word ", 1000), strings.Repeat("word ", 39) + "wo…"},
		"accepted":              {200, `{"id":"a"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(x.status)
				_, _ = io.WriteString(w, x.body)
			}))
			defer srv.Close()
			if got := sendTo(t, srv.URL, nil).Said; got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

// A message that couldn't be signed lost an attempt.
func TestUnsignedMessageCostsAnAttempt(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the receiver got %s, want nothing", r.Method) }))
	defer srv.Close()
	res := sendTo(t, srv.URL, func(c *Channel) {
		c.sign = func(string, time.Time, []byte) (string, error) { return "", errors.New("no key") }
	})
	if res.Verdict != send.VerdictHold || res.Hold != send.HoldChannel {
		t.Errorf("got %+v, want the channel held", res)
	}
	if !strings.Contains(res.Detail, "check secret_file") {
		t.Errorf("got %q, want what to do in it", res.Detail)
	}
}
