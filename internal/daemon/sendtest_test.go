package daemon

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/api"
	"campaignd/internal/send/whatsapp/graphfake"
	"campaignd/internal/service"
	"campaignd/internal/store"
)

// TestSendTest: each driver sends one real message; request and reply are shown without secrets.
func TestSendTest(t *testing.T) {
	fake := httptest.NewServer(graphfake.New(graphfake.Options{Token: "secret-token"}))
	defer fake.Close()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"contactCode":"gone"`) {
			w.WriteHeader(http.StatusGone)
			_, _ = io.WriteString(w, "no such one; your key was "+r.Header.Get("X-Api-Key"))
			return
		}
		_, _ = io.WriteString(w, `{"id": "receipt-7"}`)
	}))
	defer hook.Close()
	c := openDir(t, `
[applications.channels.whatsapp]
driver = "whatsapp"
base_url = "`+fake.URL+`"
phone_number_id = "106540352242922"
token_file = "env:TOKEN"
[applications.channels.hook]
driver = "webhook"
url = "`+hook.URL+`/in?key=query-secret"
secret_file = "env:SIGN"
headers = {X-Api-Key = "header-secret"}
[applications.channels.out]
driver = "outbox"
path = "`+filepath.Join(t.TempDir(), "out.jsonl")+`"
[applications.channels.dead]
driver = "webhook"
url = "http://127.0.0.1:1/x"
`)
	campaignFile := `{"id": 7, "applicationId": 1, "enabled": false, "channelTypes": ["whatsapp", "hook", "out", "dead"], "messageContent": [{"body": "Hello {{name}}"}, {"body": "Bye"}]}`
	if err := os.WriteFile(filepath.Join(c.CampaignsDir, "7.json"), []byte(campaignFile), 0o644); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"TOKEN": "secret-token", "SIGN": "whsec_c2VjcmV0LWtleS1mb3ItdGVzdHM="}[name]
	}
	try := func(channel, to string, vars map[string]string, message int) (api.TestResult, error) {
		return service.SendTest(t.Context(), c, getenv, api.TestMessage{ApplicationID: 1, ChannelType: channel, CampaignID: 7, ContactCode: to, Message: message, Variables: vars})
	}
	ann := map[string]string{"name": "Ann"}
	for _, x := range []struct {
		channel, to, outcome string
		request, reply       []string
	}{
		{"whatsapp", "+34 666 000 111", "sent", []string{"POST /v23.0/106540352242922/messages HTTP/1.1", "Authorization: Bearer *****", `"to":"34666000111"`, "Hello Ann", "test-"}, []string{"200 OK", "wamid."}},
		{"hook", "any", "sent", []string{"POST /in?***** HTTP/1.1", "Idempotency-Key: test-", "X-Api-Key: *****", "Webhook-Signature: v1,", `"contactCode":"any"`, `"sendingId":"test"`}, []string{"receipt-7"}},
		{"hook", "gone", "failed", []string{"Hello Ann"}, []string{"410 Gone", "your key was *****"}},
		{"out", "any", "sent", []string{`"contactCode":"any"`}, nil},
		{"dead", "any", "retry", []string{"POST /x"}, nil},
	} {
		r, err := try(x.channel, x.to, ann, 1)
		if err != nil || r.Outcome != x.outcome {
			t.Errorf("%s to %s: %+v, %v", x.channel, x.to, r, err)
		}
		for _, word := range x.request {
			if !strings.Contains(r.Request, word) {
				t.Errorf("%s: %q is not in the request:\n%s", x.channel, word, r.Request)
			}
		}
		for _, word := range x.reply {
			if !strings.Contains(r.Reply, word) {
				t.Errorf("%s: %q is not in the reply:\n%s", x.channel, word, r.Reply)
			}
		}
		for _, secret := range []string{"secret-token", "query-secret", "header-secret", "c2VjcmV0"} {
			if strings.Contains(r.Request+r.Reply+r.Detail, secret) {
				t.Errorf("%s shows the secret %s:\n%s\n%s", x.channel, secret, r.Request, r.Reply)
			}
		}
	}
	if r, err := try("out", "any", nil, 2); err != nil || !strings.Contains(r.Request, `"message":2`) {
		t.Errorf("the second message: %+v, %v", r, err)
	}
	for what, x := range map[string]struct {
		channel, to string
		vars        map[string]string
		message     int
		words       string
	}{
		"no channel":     {"hok", "any", ann, 1, "it has: dead, hook, out, whatsapp"},
		"no value":       {"out", "any", nil, 1, "--var name="},
		"a wrong name":   {"out", "any", map[string]string{"nam": "Ann"}, 1, `did you mean "name"?`},
		"no number":      {"whatsapp", "ann", ann, 1, "phone number"},
		"no contact":     {"out", "", ann, 1, "contact"},
		"a third":        {"out", "any", nil, 3, "2 messages"},
		"a bad variable": {"whatsapp", "34666000111", map[string]string{"name": strings.Repeat("x", 5000)}, 1, "4096"},
	} {
		if _, err := try(x.channel, x.to, x.vars, x.message); err == nil || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%s: %v, want …%s…", what, err, x.words)
		}
	}
	switch _, err := service.SendTest(t.Context(), c, getenv, api.TestMessage{ApplicationID: 2}); {
	case err == nil:
		t.Error("no application: got no error")
	case api.CodeOf(err) != api.CodeNotFound:
		t.Errorf("no application: api.CodeOf(err) = %q, want %q", api.CodeOf(err), api.CodeNotFound)
	}
}

// TestSendTestOfADaemon: opt-outs apply, and the audit trail has the test.
func TestSendTestOfADaemon(t *testing.T) {
	// A test message goes through a driver of its own, which must be a real one.
	const application = "\n[[applications]]\nid = 1\nslicing = {" + tenMinutes + "}\n[applications.channels.push]\ndriver = \"null\"\n"
	scenario(t, at(9, 0), application, func(t *testing.T, w *harness) {
		w.start()
		d, ctx := w.running, context.Background()
		m := api.TestMessage{ApplicationID: 1, ChannelType: "push", CampaignID: 1, ContactCode: "34666777888", Message: 1, Variables: map[string]string{"name": "Ann"}}
		if r, err := d.SendTest(ctx, m, "user:ada"); err != nil || r.Outcome != "sent" {
			t.Errorf("%+v, %v", r, err)
		}
		_, err := d.store.AddOptOuts([]store.OptOut{{ApplicationID: 1, ContactCode: "+34 666 777 888"}})
		w.check(err)
		_, err = d.SendTest(ctx, m, "user:ada")
		wantCode(t, err, api.CodeConflict, "opted out")
		trail, err := d.Audit(ctx, api.AuditFilter{})
		w.check(err)
		switch {
		case len(trail) != 1:
			t.Errorf("len(trail) = %v, want 1: %+v", len(trail), trail)
		case trail[0].Action != "send-test":
			t.Errorf("trail[0].Action = %q, want \"send-test\"", trail[0].Action)
		case strings.Contains(trail[0].Detail, "34666777888"):
			t.Errorf("trail[0].Detail = %q, want no \"34666777888\" in it", trail[0].Detail)
		}
	})
}
