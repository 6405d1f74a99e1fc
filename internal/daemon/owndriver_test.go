package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/control"
	"campaignd/internal/receipts"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
)

// pigeon is a driver that only this file knows.
func pigeon() config.Driver {
	key := func(name string, field func(*loft) *string, meaning string) config.Key {
		return config.DriverKey(name, config.SecretFile(), field, meaning)
	}
	return config.Driver{
		Name: "pigeon", Meaning: "Sends pigeons", OnUnknown: send.HoldUnknown, Contacts: []contact.Kind{contact.Digits, contact.Any}, Traced: true,
		Settings: func() config.Settings { return new(loft) },
		Together: [][]string{{"seed_file", "whistle_file"}}, Webhooks: pigeonHooks,
		Keys: []config.Key{
			config.DriverKey("loft_url", config.WebURL(), func(l *loft) *string { return &l.URL }, "Where pigeons live").Mandatory(),
			config.DriverKey("feathers", config.Integer[int](1, 9), func(l *loft) *int { return &l.Feathers }, "Feathers of a pigeon").Or("3"),
			key("password_file", func(l *loft) *string { return &l.PasswordFile }, "What opens the loft"),
			key("seed_file", func(l *loft) *string { return &l.SeedFile }, "What pigeons eat"),
			key("whistle_file", func(l *loft) *string { return &l.WhistleFile }, "What pigeons hear"),
		},
	}
}

// loft holds the settings of a pigeon channel.
type loft struct {
	URL, PasswordFile, SeedFile, WhistleFile string
	Feathers                                 int
}

// Reports returns the loft as the account whose pigeons come back.
func (l *loft) Reports() string { return l.URL }

// pigeonHooks returns a handler of calls whose body is a secret and the key of a message that arrived.
func pigeonHooks(channels []config.Settings, env config.WebhookEnvironment) (http.Handler, error) {
	l := channels[0].(*loft)
	secret, err := env.Secret(l.PasswordFile)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key, ok := strings.CutPrefix(string(body), secret+" ")
		if !ok {
			env.Refused(errors.New("no pigeon of ours"))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		events := receipts.Events{
			Statuses: []receipts.Status{{Account: l.URL, Key: key, Delivery: receipts.DeliveryDelivered, At: time.Now()}},
			Replies:  []receipts.Reply{{Account: l.URL, ID: "r1", Contact: "123456", Type: "text", Text: "Coo!", Typed: true, At: time.Now()}},
		}
		if err := env.Receiver.Receive(r.Context(), events); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), nil
}

func (l *loft) Check() (string, error) {
	if l.Feathers == 4 {
		return "feathers", errors.New("is unlucky")
	}
	return "", nil
}

// Open returns a channel that writes its secrets, in many ways, into what it traces.
func (l *loft) Open(env config.Environment) (send.Channel, error) {
	password, err := env.Secret(l.PasswordFile)
	if err != nil {
		return nil, err
	}
	if password == "wrong" {
		return nil, fmt.Errorf("the loft doesn't open with %s", password)
	}
	return &flock{null.New(1), password, env.Tracer}, nil
}

type flock struct {
	*null.Channel
	password string
	tracer   send.WireTracer
}

func (f *flock) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	if f.tracer != nil {
		basic := base64.StdEncoding.EncodeToString([]byte("coo:" + f.password))
		quoted, _ := json.Marshal(f.password)
		f.tracer(false, fmt.Appendf(nil, "Authorization: Basic %s\npassword=%s %s\n", basic, url.QueryEscape(f.password), quoted))
		f.tracer(true, fmt.Appendf(nil, "wrong: %s", f.password))
	}
	f.Channel.Send(ctx, msgs, results)
	for i := range results {
		results[i].Detail, results[i].ProviderID = "landed with "+f.password, msgs[i].Key
	}
}

// everyDriver returns the drivers that there are, and pigeon.
func everyDriver() []config.Driver { return append(drivers.All(), pigeon()) }

// pigeonChannel configures a channel of pigeon.
const pigeonChannel = `
[[applications]]
id = 1
[applications.channels.push]
driver = "pigeon"
loft_url = "https://loft.example/?door=loft-door"
password_file = "env:PASSWORD"
`

func TestOwnDriverIsConfigured(t *testing.T) {
	parse := func(text string) (*config.Config, campaign.Problems) {
		return config.Parse("c.toml", []byte("[[inboxes]]\npath = \"in\"\n"+text), everyDriver())
	}
	c, problems := parse(pigeonChannel)
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	ch := c.Application(1).Channels["push"]
	if got := ch.Settings.(*loft).Feathers; got != 3 {
		t.Errorf("feathers: got %d, want the default 3", got)
	}
	if ch.OnUnknown != "hold" {
		t.Errorf("on_unknown: got %q, want the driver's default", ch.OnUnknown)
	}
	if kind := c.Application(1).ContactRules("push").Kind(); kind != contact.Digits {
		t.Errorf("contacts: got %s, want the driver's default", kind)
	}
	var shown strings.Builder
	if err := c.Show(&shown); err != nil || !strings.Contains(shown.String(), "feathers = 3") {
		t.Errorf("config show: %v\n%s", err, shown.String())
	}
	_, problems = parse(`[[applications]]
id = 1
[applications.channels.a]
driver = "pidgeon"
[applications.channels.b]
driver = "pigeon"
feather = 5
contacts = "email"
seed_file = "s"
path = "p"
[applications.channels.c]
driver = "pigeon"
loft_url = "loft"
feathers = 12
[applications.channels.d]
driver = "pigeon"
loft_url = "https://loft.example"
feathers = 4
[applications.channels.e]
driver = "outbox"
path = "p"
feathers = 3
`)
	want := []string{
		`c.toml:6:10: applications.channels.a.driver: found "pidgeon"; it is one of outbox, webhook, whatsapp, smtp, null, pigeon; did you mean "pigeon"?`,
		`c.toml:7:2: applications.channels.b.loft_url: is missing: it has no default`,
		`c.toml:9:1: applications.channels.b.feather: is not a known key; did you mean "feathers"?`,
		`c.toml:10:12: applications.channels.b.contacts: found "email"; the driver pigeon sends to digits or any`,
		`c.toml:11:1: applications.channels.b.whistle_file: is missing: seed_file and whistle_file belong together`,
		`c.toml:12:1: applications.channels.b.path: belongs to the driver outbox; this channel's driver is pigeon`,
		`c.toml:15:12: applications.channels.c.loft_url: is no absolute URL such as "https://receiver.example/messages"`,
		`c.toml:16:12: applications.channels.c.feathers: found 12; the range is 1 to 9`,
		`c.toml:20:12: applications.channels.d.feathers: is unlucky`,
		`c.toml:24:1: applications.channels.e.feathers: belongs to the driver pigeon; this channel's driver is outbox`,
	}
	for i, p := range problems.List {
		switch {
		case i >= len(want):
			t.Errorf("got  %s\nwant %s", p, strings.Join(want[min(i, len(want)):min(i+1, len(want))], ""))
		case p.String() != want[i]:
			t.Errorf("p = %q, want %q", p.String(), want[i])
		}
	}
	if len(problems.List) != len(want) {
		t.Errorf("got %d errors, want %d", len(problems.List), len(want))
	}
}

// TestMissingSecretsAreNamedTogether: run and doctor know every secret of every driver, and the token.
func TestMissingSecretsAreNamedTogether(t *testing.T) {
	text := "listen = \"127.0.0.1:1\"\ntoken_file = \"/nowhere/token\"\n[[inboxes]]\npath = \"in\"\n" + pigeonChannel + "seed_file = \"/nowhere/seed\"\nwhistle_file = \"/nowhere/whistle\"\n"
	c, problems := config.Parse("c.toml", []byte(text), everyDriver())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	c.StateDir = filepath.Join(t.TempDir(), "v")
	getenv := func(string) string { return "" }
	_, err := Open(Options{Config: c, Log: slog.New(slog.DiscardHandler), Getenv: getenv})
	if err == nil {
		t.Fatal("it opens without its secrets")
	}
	var found strings.Builder
	for _, f := range control.Examine(c, getenv) {
		if f.Level == api.LevelFail {
			fmt.Fprintln(&found, f.Check, f.Message)
		}
	}
	for _, secret := range []string{"/nowhere/token", `"PASSWORD"`, "/nowhere/seed", "/nowhere/whistle"} {
		if !strings.Contains(err.Error(), secret) {
			t.Errorf("run doesn't name %s: %v", secret, err)
		}
		if !strings.Contains(found.String(), secret) {
			t.Errorf("doctor doesn't name %s: %s", secret, found.String())
		}
	}
}

// TestOwnDriverSends: a drop goes out through it, and a test message shows none of its secrets.
func TestOwnDriverSends(t *testing.T) {
	const password = "s3cr\"t & ça"
	scenario(t, at(9, 0), pigeonChannel+"stop_words = [\"coo\"]\n", func(t *testing.T, w *harness) {
		w.registered = everyDriver()
		w.secrets = func(name string) string { return map[string]string{"PASSWORD": password}[name] }
		w.start()
		w.write("in/a.csv", "code,name\n123456,Ada\n654321,Bob\n")
		w.write("in/a.layout.json", `{"contact": {"contactCode": "{{code}}", "channelType": "push"}, "customFields": {"name": "{{name}}"}}`)
		w.write("in/a.schedule.json", "{}")
		w.wait(time.Minute)
		w.state("a", campaign.StateCompleted)
		if got := w.report("a").Messages.Sent; got != 2 {
			t.Errorf("got %d messages sent, want 2", got)
		}
		call := func(body string) int {
			rec := httptest.NewRecorder()
			w.running.hooks.Handlers()["/hooks/pigeon"].ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/hooks/pigeon", strings.NewReader(body)))
			return rec.Code
		}
		key := strings.Split(strings.Split(readAll(t, filepath.Join(w.folder("a"), "results.csv")), "\n")[1], ",")[6] // providerId
		if got := call("nothing"); got != http.StatusUnauthorized {
			t.Errorf("an unsigned call: got %d, want 401", got)
		}
		if got := call(password + " " + key); got != http.StatusOK {
			t.Errorf("a signed call: got %d, want 200", got)
		}
		s, err := w.running.Sending(t.Context(), w.id("a"))
		w.check(err)
		if s.Delivery == nil || s.Delivery.Delivered != 1 {
			t.Errorf("got %+v, want one message delivered", s.Delivery)
		}
		if out, err := w.running.store.OptedOut(1, "push", []byte("123456")); !out || err != nil {
			t.Errorf("the stop word: opted out is %v, %v", out, err)
		}
		r, err := w.running.SendTest(context.Background(), api.TestMessage{ApplicationID: 1, ChannelType: "push", CampaignID: 1, ContactCode: "654321", Message: 1,
			Variables: map[string]string{"name": "Ann"}}, "user:ada")
		w.check(err)
		if r.Outcome != "sent" || !r.Traced {
			t.Errorf("got %+v, want a sent message that was traced", r)
		}
		quoted, _ := json.Marshal(password)
		basic := base64.StdEncoding.EncodeToString([]byte("coo:" + password)) // its last digits are of the password alone
		for _, secret := range []string{password, strings.Trim(string(quoted), `"`), url.QueryEscape(password), basic[len(basic)-8:]} {
			if text := r.Request + r.Reply + r.Detail; strings.Contains(text, secret) {
				t.Errorf("send-test shows %s:\n%s", secret, text)
			}
		}
	})
}
