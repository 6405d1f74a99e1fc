package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/config"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/webhook"
)

// full sets every key that has no default.
const full = `
state_dir = "s"
listen = "127.0.0.1:1"
token_file = "env:TOKEN"
socket_group = "ops"
metrics_token = true
trusted_proxies = ["10.0.0.5", "192.168.0.0/16"]
rescan = "every 15s"
[log]
level = "warn"
[nats]
servers = ["tls://nats1.example", "nats://127.0.0.1:4222"]
credentials_file = "env:NATS"
monitoring = ["http://n1.example:8222"]
replicas = 1
[standby]
lease = "5s"
[[inboxes]]
path = "in \"quoted\"\u0001é"
application = 1
campaign = 7
layout = "columns"
schedule = {dryRun = true, reference = "a \"b\""}
contact_columns = ["msisdn"]
name_pattern = '(?P<campaign>\d+)-.*'
allow_applications = [1, 2]
allow_campaigns = [7]
settle = "250ms"
ignore = ["*.bak", "README*"]
token_file = "env:PARTNER"
notify_url = "https://partner.example/campaignd"
notify_secret_file = "credential:notify"
[[inboxes]]
path = "in2"
[[applications]]
id = 1
name = "Shop"
timezone = "Europe/Madrid"
country = "ES"
windows = ["* 9-20 * * MON-SAT", "* 10-12 * * SUN"]
slicing = {enabled = true, capacity = 600, slot = "90s", pacing = "burst"}
max_bad_rows = 0.0000123456789
max_file_size = 1000
[applications.channels.a]
driver = "outbox"
path = "out.jsonl"
rate = 0.5
[applications.channels.b]
driver = "webhook"
url = "https://receiver.example/x?a=1"
secret_file = "credential:hook"
headers = {X-Sender = "demo"}
[applications.channels.c]
driver = "whatsapp"
phone_number_id = "123"
token_file = "t"
app_secret_file = "s"
business_account_id = "7"
verify_token_file = "v"
[applications.channels.d]
driver = "smtp"
host = "mail.example"
username = "u"
password_file = "p"
from = "Shop <shop@example.com>"
reply_to = "help@example.com"
list_unsubscribe = "mailto:u@example.com"
dkim_domain = "example.com"
dkim_selector = "s"
dkim_key_file = "k"
[[applications]]
id = 2
[applications.channels.n]
driver = "null"
`

func show(t *testing.T, c *config.Config) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestShowReadsBack(t *testing.T) {
	for _, text := range []string{minimal, full} {
		want := mustParse(t, text)
		shown := show(t, want)
		got := mustParse(t, shown)
		if diff := cmp.Diff(want, got, sameAs()); diff != "" {
			t.Errorf("(-parsed +shown and parsed):\n%s\n%s", diff, shown)
		}
	}
}

// Show and the file that sets everything name every key but those of other drivers.
func TestShowNamesEveryKey(t *testing.T) {
	shown := show(t, mustParse(t, full))
	keys := config.Keys(drivers.All())
	for _, d := range drivers.All() {
		if strings.Contains(full, "\ndriver = \""+d.Name+"\"\n") {
			keys = append(keys, d.Keys...)
		}
	}
	for _, k := range keys {
		if !strings.Contains(shown, "\n"+k.Name+" = ") && !strings.HasPrefix(shown, k.Name+" = ") {
			t.Errorf("%s %s is not shown", k.Scope, k.Name)
		}
	}
}

func TestShowMasksSecrets(t *testing.T) {
	c := mustParse(t, `
[[inboxes]]
path = "in"
[[applications]]
id = 1
[applications.channels.w]
driver = "webhook"
url = "https://user:hunter2@receiver.example/x?api_token=hunter3&page=4"
headers = {Authorization = "Bearer hunter4", X-Api-Key = "hunter5", X-Sender = "demo"}
`)
	shown := show(t, c)
	if strings.Contains(shown, "hunter") {
		t.Errorf("a secret is shown:\n%s", shown)
	}
	for _, want := range []string{`"X-Sender" = "demo"`, "page=4", "user:"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%s is not shown:\n%s", want, shown)
		}
	}
	mustParse(t, shown)
	if got := c.Applications[0].Channels["w"].Settings.(*webhook.Settings).Headers["Authorization"]; got != "Bearer hunter4" {
		t.Errorf("the value itself was changed to %q", got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestShowError(t *testing.T) {
	if err := mustParse(t, minimal).Show(fullDisk{}); err == nil {
		t.Error("a failed write was not reported")
	}
}

// TestEffectiveValues: what Show writes, for programs.
func TestEffectiveValues(t *testing.T) {
	c, p := config.Load(sample, drivers.All())
	if c == nil {
		t.Fatal(p)
	}
	all, err := c.Values()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"state_dir":"var"`, `"max_rows":10000000`, `"dedupe":true`, `"allow_applications":[1]`,
		`"cloud_api":{`, `"max_lateness":"24h"`, `"log":{"format":"auto","level":"info"}`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
}
