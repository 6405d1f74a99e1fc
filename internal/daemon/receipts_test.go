package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/report"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
	"campaignd/internal/store"
)

const metaNumber = "106540352242922"

// whatsappHooks is the path of WhatsApp's webhooks.
const whatsappHooks = "/hooks/whatsapp"

// receiptsConfig configures an application whose channel reports deliveries, with hourly housekeeping.
func receiptsConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "t", "secret": "app-secret", "verify": "verify-me"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "\n[[applications]]\nid = 1\n[applications.channels.push]\ndriver = \"whatsapp\"\nphone_number_id = \"" + metaNumber + "\"\ntoken_file = \"" + dir +
		"/token\"\napp_secret_file = \"" + dir + "/secret\"\nverify_token_file = \"" + dir + "/verify\"\n"
}

// webhook calls the webhook and returns the status of its answer.
func (w *harness) webhook(body []byte, signature string) int {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, whatsappHooks, bytes.NewReader(body))
	if signature != "" {
		r.Header.Set("X-Hub-Signature-256", signature)
	}
	rec := httptest.NewRecorder()
	w.running.hooks.Handlers()[whatsappHooks].ServeHTTP(rec, r)
	return rec.Code
}

// signedWebhook calls the webhook with signed statuses and fails the test if they are refused.
func (w *harness) signedWebhook(statuses ...graphfake.Status) {
	w.t.Helper()
	body := graphfake.Notification(metaNumber, statuses...)
	if code := w.webhook(body, graphfake.Sign("app-secret", body)); code != http.StatusOK {
		w.t.Fatalf("the webhook answers %d", code)
	}
}

// results returns the lines of the drop's results.csv.
func (w *harness) results(name string) []string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.folder(name), "results.csv"))
	w.check(err)
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

func (w *harness) delivery(name string) campaign.DeliveryCounts {
	w.t.Helper()
	details, err := w.running.Sending(context.Background(), w.id(name))
	w.check(err)
	if details.Delivery == nil {
		w.t.Fatalf("%s has no deliveries", name)
	}
	return *details.Delivery
}

// TestDeliveries: Meta's receipts, with keys or only ids, in any order, repeated, during the sending and
// after it, are in `show` immediately and in the files at the end or after the next housekeeping.
func TestDeliveries(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t)+"rate = 1\n", func(t *testing.T, w *harness) {
		w.top = "housekeeping = \"0 * * * *\""
		w.answer = func(m *send.Message) send.Result {
			return send.Result{Verdict: send.VerdictSent, ProviderID: "wamid." + m.ContactCode}
		}
		w.start()
		w.drop("spring", 20)
		for len(w.allSent()) < 3 {
			w.wait(time.Second)
		}
		sent := w.allSent()
		status := func(i int, what string) graphfake.Status {
			return graphfake.Status{ID: "wamid." + sent[i].contact, Status: what, At: at(9, 1).Add(time.Duration(i) * time.Second), Recipient: "34600000000", Key: sent[i].key}
		}
		w.signedWebhook(status(0, "sent"), status(0, "read"), status(0, "delivered"))
		w.signedWebhook(status(1, "delivered"))
		w.signedWebhook(status(1, "delivered"))
		if diff := cmp.Diff(campaign.DeliveryCounts{Delivered: 1, Read: 1}, w.delivery("spring")); diff != "" {
			t.Error(diff)
		}
		w.wait(10 * time.Second)
		switch got := w.report("spring"); {
		case got.State != campaign.StateSending:
			t.Errorf("status.json: got.State = %q, want %q\n%+v", got.State, campaign.StateSending, got)
		case got.Delivery == nil:
			t.Error("status.json: got.Delivery is nil")
		case got.Delivery.Read != 1:
			t.Errorf("status.json: got.Delivery.Read = %v, want 1", got.Delivery.Read)
		}
		w.until(at(9, 5))
		sent = w.allSent()
		switch got := w.report("spring"); {
		case got.State != campaign.StateCompleted:
			t.Errorf("report.json: got.State = %q, want %q\n%+v", got.State, campaign.StateCompleted, got)
		case *got.Delivery != (campaign.DeliveryCounts{Delivered: 1, Read: 1}):
			t.Errorf("report.json: got.Delivery = %+v, want %+v", *got.Delivery, (campaign.DeliveryCounts{Delivered: 1, Read: 1}))
		}
		if late, err := w.running.store.StaleReports(); err != nil || len(late) != 0 {
			t.Errorf("late: %v, %v", late, err)
		}

		// Late ones: failed with its key, delivered by its id alone, and such as are not ours.
		failed := status(2, "failed")
		failed.Code = 131026
		byID := status(3, "delivered")
		byID.Key = ""
		foreign, other := byID, status(4, "read")
		foreign.ID, other.Key = "wamid.of-a-chat", strings.Replace(other.Key, sent[4].key[len(sent[4].key)-8:], "00000000", 1)
		w.signedWebhook(failed, byID, foreign, other)
		w.wait(5 * time.Second)
		want := campaign.DeliveryCounts{Delivered: 2, Read: 1, Failed: 1}
		if diff := cmp.Diff(want, w.delivery("spring")); diff != "" {
			t.Error(diff)
		}
		w.wait(3 * time.Minute)
		if _, left, err := w.running.store.MatchReceipts(w.now()); left != 0 || err != nil {
			t.Errorf("%d unmatched receipts are left, %v", left, err)
		}
		w.shutdown() // receipts survive a restart
		w.start()
		w.until(at(10, 2))
		if got := w.report("spring"); *got.Delivery != want {
			t.Errorf("after housekeeping: %+v", got.Delivery)
		}
		lines := w.results("spring")
		if lines[0] != strings.TrimSuffix(report.Header, "\n") {
			t.Errorf("header %s", lines[0])
		}
		for i, cells := range []string{",,read,2026-03-04T09:01:00Z", ",,delivered,2026-03-04T09:01:01Z", ",failed,2026-03-04T09:01:02Z", ",,delivered,2026-03-04T09:01:03Z", ",,,"} {
			if !strings.Contains(lines[i+1], ",sent,1,wamid.") {
				t.Errorf("line %d: %s, want it sent with the provider's id", i+1, lines[i+1])
			}
			number := fmt.Sprintf("34666%06d", i)
			if want := cells + ",," + number; !strings.HasSuffix(lines[i+1], want) { // no reference, then to
				t.Errorf("line %d: %s, want …%s", i+1, lines[i+1], want)
			}
		}
		if !strings.Contains(lines[3], "131026") {
			t.Errorf("line 3: %s, want the code 131026", lines[3])
		}
		if text := w.text("spring"); !strings.Contains(text, "1 was accepted but not delivered") {
			t.Errorf("report.txt doesn't say that a message was not delivered:\n%s", text)
		}
		if wrong := w.running.store.Verify(true); len(wrong) > 0 {
			t.Error(wrong)
		}
	})
}

// A contact hides its number and stops marketing by its user id only. It gets no more messages at the number
// that a receipt of our own message tied to the id, in whatever order the two arrive.
func TestStopByUserIDIsDropped(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.start()
		drop := func(name, rows string) {
			w.write("in/"+name+".csv", "code,name\n"+rows)
			w.write("in/"+name+".layout.json", `{"contact": {"contactCode": "{{code}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`)
			w.write("in/"+name+".schedule.json", `{}`)
		}
		drop("spring", "+34666000111,Ada\n+34666000222,Ada\n+34666000333,Ada\n")
		w.until(at(9, 5))
		sent := w.allSent()
		if len(sent) != 3 {
			t.Fatalf("got %d messages; want 3", len(sent))
		}
		stop := func(id string) {
			body := graphfake.OptOutByUserID(metaNumber, id, "stop", w.now())
			if code := w.webhook(body, graphfake.Sign("app-secret", body)); code != http.StatusOK {
				t.Errorf("got %d for the stop of %s; want 200", code, id)
			}
		}
		w.signedWebhook(graphfake.Status{ID: "wamid.1", Status: "delivered", At: w.now(), UserID: "US.1", Key: sent[0].key})
		stop("US.1")
		stop("US.2") // nobody knows its number yet
		w.signedWebhook(graphfake.Status{ID: "wamid.2", Status: "delivered", At: w.now(), UserID: "US.2", Key: sent[1].key})
		w.signedWebhook(graphfake.Status{ID: "wamid.3", Status: "delivered", At: w.now(), Recipient: strings.TrimPrefix(sent[2].contact, "+"), UserID: "US.3", Key: sent[2].key})
		drop("again", sent[0].contact+",Ada\n"+sent[1].contact+",Ada\n"+sent[2].contact+",Ada\nUS.1,Ada\n")
		w.until(at(9, 10))
		if got := w.report("again"); got.Messages.Sent != 1 || got.Messages.Suppressed != 3 {
			t.Errorf("got %+v; want 1 sent, 3 suppressed", got.Messages)
		}
		w.write("in/x.suppress.csv", "contactCode\n"+strings.Replace(sent[2].contact, "+34", "34 ", 1)+"\n")
		w.until(at(9, 12))
		drop("last", "US.3,Ada\nUS.4,Ada\n")
		w.until(at(9, 20))
		if got := w.report("last"); got.Messages.Sent != 1 || got.Messages.Suppressed != 1 {
			t.Errorf("got %+v; want 1 sent to US.4, 1 suppressed", got.Messages)
		}
	})
}

// TestOptOutsOfWebhooks: a contact that stops marketing, by itself or in answer to a message, gets no
// more messages, however its number is written.
func TestOptOutsOfWebhooks(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.start()
		w.accept("spring", 3)
		w.until(at(9, 5))
		all := w.allSent()
		one := slices.IndexFunc(all, func(s sent) bool { return s.contact == "34666000001" }) // they go in any order
		stopped := graphfake.Status{ID: "wamid.1", Status: "failed", At: w.now(), Recipient: "34666000111", Key: all[one].key, Code: 131050}
		w.signedWebhook(stopped)
		for _, word := range []string{"resume", "stop"} {
			body := graphfake.OptOut(metaNumber, "34666000222", word, w.now())
			if code := w.webhook(body, graphfake.Sign("app-secret", body)); code != http.StatusOK {
				t.Errorf("%s: %d", word, code)
			}
		}
		w.write("in/again.csv", "code,name\n34666000000,Ada\n34666000001,Ada\n+34 666 000 111,Ada\n(34) 666-000-222,Ada\n34666000333,Ada\n")
		w.write("in/again.layout.json", `{"contact": {"contactCode": "{{code}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`)
		w.write("in/again.schedule.json", `{}`)
		w.until(at(9, 10))
		switch got := w.report("again"); {
		case got.Messages.Sent != 2:
			t.Errorf("got.Messages.Sent = %v, want 2", got.Messages.Sent)
		case got.Messages.Suppressed != 3:
			t.Errorf("got.Messages.Suppressed = %v, want 3", got.Messages.Suppressed)
		}
		var sources []string
		w.check(w.running.store.EachOptOut(1, func(s store.OptOut) error {
			sources = append(sources, s.ChannelType+" "+s.Source)
			return nil
		}))
		if diff := cmp.Diff([]string{"push webhook", "push webhook", "push webhook"}, sources); diff != "" {
			t.Error(diff)
		}
	})
}

// TestUnsignedWebhooksAreRefused: webhooks need a valid signature; Meta's verification is answered.
func TestUnsignedWebhooksAreRefused(t *testing.T) {
	scenario(t, at(9, 0), receiptsConfig(t), func(t *testing.T, w *harness) {
		w.start()
		body := graphfake.Notification(metaNumber, graphfake.Status{ID: "x", Status: "read", At: w.now(), Recipient: "34666000111"})
		for signature, want := range map[string]int{"": 401, graphfake.Sign("other", body): 401, "sha256=00": 401, graphfake.Sign("app-secret", body): 200} {
			if got := w.webhook(body, signature); got != want {
				t.Errorf("%q: %d, want %d", signature, got, want)
			}
		}
		long := bytes.Repeat([]byte(" "), 5<<20)
		if got := w.webhook(long, graphfake.Sign("app-secret", long)); got != http.StatusRequestEntityTooLarge {
			t.Errorf("5 MB: %d", got)
		}
		get := func(token string) (int, string) {
			rec := httptest.NewRecorder()
			w.running.hooks.Handlers()[whatsappHooks].ServeHTTP(rec, httptest.NewRequest(http.MethodGet,
				whatsappHooks+"?hub.mode=subscribe&hub.challenge=4711&hub.verify_token="+token, nil))
			return rec.Code, rec.Body.String()
		}
		switch code, text := get("verify-me"); {
		case code != 200:
			t.Errorf("code = %v, want 200", code)
		case text != "4711":
			t.Errorf("text = %q, want \"4711\"", text)
		}
		switch code, text := get("guess"); {
		case code != 403:
			t.Errorf("code = %v, want 403", code)
		case strings.Contains(text, "4711"):
			t.Errorf("want no \"4711\" in:\n%s", text)
		}

		// A reload without webhooks takes no more of them.
		w.write("campaignd.toml", strings.ReplaceAll(readAll(t, filepath.Join(w.dir, "campaignd.toml")), "app_secret_file", "#"))
		w.write("campaignd.toml", strings.ReplaceAll(readAll(t, filepath.Join(w.dir, "campaignd.toml")), "verify_token_file", "#"))
		w.check(w.running.Reload(context.Background(), "test"))
		if got := w.webhook(body, graphfake.Sign("app-secret", body)); got != http.StatusNotFound {
			t.Errorf("after the reload: %d", got)
		}
	})
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestHooksNeedTheirSecrets: an unreadable secret is reported at start.
func TestHooksNeedTheirSecrets(t *testing.T) {
	c := openDir(t, "[applications.channels.push]\ndriver = \"whatsapp\"\nphone_number_id = \"1\"\ntoken_file = \"env:T\"\napp_secret_file = \"env:NONE\"\nverify_token_file = \"env:T\"\n")
	_, err := Open(Options{Config: c, Log: slog.New(slog.DiscardHandler), Getenv: func(name string) string { return map[string]string{"T": "t"}[name] }})
	switch {
	case err == nil:
		t.Error("got no error")
	case !strings.Contains(err.Error(), "application 1, channel push: app_secret_file"):
		t.Errorf("err = %q, want \"application 1, channel push: app_secret_file\" in it", err.Error())
	case !strings.Contains(err.Error(), "NONE"):
		t.Errorf("err = %q, want \"NONE\" in it", err.Error())
	}
}

// TestHeldChannelIsInStatus: partners, who see only files, learn why a sending waits.
func TestHeldChannelIsInStatus(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "", "enabled = false"), func(t *testing.T, w *harness) {
		var fixed atomic.Bool
		w.answer = func(*send.Message) send.Result {
			if fixed.Load() {
				return send.Result{Verdict: send.VerdictSent}
			}
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "the token was refused"}
		}
		w.start()
		w.accept("spring", 3)
		w.wait(10 * time.Second)
		waits := w.status("spring").WaitsFor
		if waits == nil {
			t.Fatal("status.json has no waitsFor")
		}
		if got, want := waits.Reason, "channel push is held: the token was refused"; got != want {
			t.Errorf("status.json says %q, want %q", got, want)
		}
		if waits.Since.IsZero() {
			t.Error("waits.Since is zero")
		}
		if !waits.Until.After(w.now()) {
			t.Errorf("waits.Until = %v, want later than %v", waits.Until, w.now())
		}
		d, ctx := w.running, context.Background()
		details, err := d.Sending(ctx, w.id("spring"))
		w.check(err)
		if diff := cmp.Diff(waits, details.WaitsFor); diff != "" {
			t.Errorf("status.json and show differ (-status.json +show):\n%s", diff)
		}
		findings, err := d.Doctor(ctx, false)
		w.check(err)
		i := slices.IndexFunc(findings, func(f api.Finding) bool { return f.Check == "channel" && f.Level == api.LevelFail })
		if i < 0 {
			t.Fatalf("doctor reports no channel: %+v", findings)
		}
		if got, want := findings[i].Advice, "fix the cause, then run: campaignd resume --channel push --application 1"; got != want {
			t.Errorf("doctor advises %q, want %q", got, want)
		}
		_, err = d.ResumeChannel(ctx, api.ChannelResume{ChannelType: "pusch"}, "user:ada")
		wantCode(t, err, api.CodeNotFound, `there is no channel "pusch"; there are: push; did you mean "push"?`)
		fixed.Store(true)
		resumed, err := d.ResumeChannel(ctx, api.ChannelResume{ChannelType: "push"}, "user:ada")
		w.check(err)
		if diff := cmp.Diff([]api.ResumedChannel{{ApplicationID: 1, ChannelType: "push", From: api.ChannelHeld, Resumed: true}}, resumed); diff != "" {
			t.Error(diff)
		}
		w.wait(10 * time.Second)
		switch got := w.report("spring"); {
		case got.State != campaign.StateCompleted:
			t.Errorf("got.State = %q, want %q\n%+v", got.State, campaign.StateCompleted, got.Messages)
		case got.Reason != "":
			t.Errorf("got.Reason = %q, want none", got.Reason)
		case got.Messages.Sent != 3:
			t.Errorf("got.Messages.Sent = %v, want 3", got.Messages.Sent)
		}
	})
}
