package partnerpage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/send"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/null"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is an inbox with two campaigns, 7 and 8.
type harness struct {
	t      *testing.T
	dir    string // of everything
	inbox  string
	config *config.Config
}

const harnessConfig = `
state_dir = %q
campaigns_dir = %q
[[inboxes]]
path = %q
%s
[[applications]]
id = 1
timezone = "Europe/Madrid"
%s
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
[applications.channels.sms]
driver = "outbox"
path = "var/outbox.jsonl"
[[applications]]
id = 2
[applications.channels.cloud_api]
driver = "outbox"
path = "var/outbox.jsonl"
`

// newHarness makes a harness; inbox and application are further lines of its configuration.
func newHarness(t *testing.T, inbox, application string) *harness {
	t.Helper()
	h := &harness{t: t, dir: t.TempDir()}
	h.inbox = filepath.Join(h.dir, "inbox")
	state, campaigns := filepath.Join(h.dir, "var"), filepath.Join(h.dir, "campaigns")
	for _, dir := range []string{h.inbox, state, campaigns} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.campaign("7.json", `{"id": 7, "applicationId": 1, "title": "a", "enabled": true, "channelTypes": ["cloud_api"],
		"messageContent": [{"body": "hello {{name}}"}]}`)
	h.campaign("8.json", `{"id": 8, "applicationId": 1, "title": "two", "enabled": true, "channelTypes": ["cloud_api", "sms"],
		"messageContent": [{"body": "one"}, {"body": "two {{name}}"}]}`)
	file := filepath.Join(h.dir, "campaignd.toml")
	h.write(file, fmt.Sprintf(harnessConfig, state, campaigns, h.inbox, inbox, application))
	c, problems := config.Load(file, drivers.All())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	h.config = c
	return h
}

func (h *harness) campaign(name, text string) { h.write(filepath.Join(h.dir, "campaigns", name), text) }

func (h *harness) write(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) checker() *check.Checker {
	channels := map[string]send.Channel{"cloud_api": null.New(1), "sms": null.New(1)}
	return &check.Checker{Config: h.config, TempDir: h.config.StateDir, Campaigns: check.NewCampaigns(h.config.CampaignsDir),
		Channels: func(int64) map[string]send.Channel { return channels }}
}

// The page names what the partner may send and nothing of others; its examples pass the check.
func TestPage(t *testing.T) {
	h := newHarness(t, "allow_applications = [1]\nname_pattern = \"night-(?P<reference>.*)\"\nlayout = \"columns\"", `windows = ["* 9-20 * * MON-SAT"]
slicing = {enabled = true, capacity = 600}`)
	h.campaign("9.json", `{"id": 9, "applicationId": 2, "title": "another's", "enabled": true, "channelTypes": ["cloud_api"], "messageContent": [{"body": "x"}]}`)
	h.campaign("10.json", `{"id": 10, "applicationId": 1, "title": "disabled", "enabled": false, "channelTypes": ["cloud_api"], "messageContent": [{"body": "x"}]}`)
	page, err := New(t.Context(), h.checker(), &h.config.Inboxes[0], h.config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Application 1", "Europe/Madrid", "* 9-20 * * MON-SAT", "600 messages every 5m", "night-(?P<reference>.*)", "### Campaign 7 a",
		"variables         name", "| hello Ada", "examples/campaign-8-of-1.csv", "| two Ada"} {
		if !strings.Contains(page.Text, want) {
			t.Errorf("%q isn't in the page:\n%s", want, page.Text)
		}
	}
	for _, secret := range []string{"another's", "Application 2", "disabled", h.dir} {
		if strings.Contains(page.Text, secret) {
			t.Errorf("%q is in the page", secret)
		}
	}
	if len(page.Examples) != 6 {
		t.Errorf("%d files of examples, want 6", len(page.Examples))
	}
	if got, want := string(page.Examples["campaign-8-of-1.csv"]), "contactCode,channelType,name\n34666777888,cloud_api,Ada\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var paths []string
	for _, ending := range []string{".csv", ".layout.json", ".schedule.json"} {
		path := filepath.Join(h.dir, "night-1"+ending)
		h.write(path, string(page.Examples["campaign-8-of-1"+ending]))
		paths = append(paths, path)
	}
	p, err := check.OpenFiles(paths, os.Open)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	found, err := h.checker().Check(t.Context(), p, &h.config.Inboxes[0], nil, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), nil, nil, func(float64) {})
	switch {
	case err != nil:
		t.Errorf("the example as a drop: %v", err)
	case found.Problems.Count > 0:
		t.Errorf("the example as a drop: found.Problems.Count = %v, want 0", found.Problems.Count)
	}
}

// Campaigns that the inbox may not send aren't on its page.
func TestPageHasAllowedCampaignsAlone(t *testing.T) {
	h := newHarness(t, "allow_campaigns = [8]", "")
	page, err := New(t.Context(), h.checker(), &h.config.Inboxes[0], h.config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.Text, "Campaign 7") || !strings.Contains(page.Text, "Campaign 8") {
		t.Errorf("want campaign 8 alone in the page:\n%s", page.Text)
	}
	for name := range page.Examples {
		if !strings.HasPrefix(name, "campaign-8") {
			t.Errorf("the examples have %s", name)
		}
	}
}

// The files change only with their content; examples of campaigns that are gone go, and a link is not followed.
func TestPageFiles(t *testing.T) {
	h := newHarness(t, "", "")
	write := func() error {
		page, err := New(t.Context(), h.checker(), &h.config.Inboxes[0], h.config.StateDir)
		if err != nil {
			t.Fatal(err)
		}
		return writePage(h.inbox, page)
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.inbox, "campaigns.txt")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	h.write(filepath.Join(h.inbox, "examples", "mine.csv"), "a\n")
	if err := write(); err != nil {
		t.Fatal(err)
	}
	switch after, err := os.Stat(path); {
	case err != nil:
		t.Error(err)
	case !os.SameFile(before, after):
		t.Error("os.SameFile(before, after) = false, want true")
	}
	h.campaign("8.json", `{"id": 8, "applicationId": 1, "enabled": false, "channelTypes": ["sms"], "messageContent": [{"body": "x"}]}`)
	if err := write(); err != nil {
		t.Fatal(err)
	}
	switch after, err := os.Stat(path); {
	case err != nil:
		t.Error(err)
	case os.SameFile(before, after):
		t.Error("os.SameFile(before, after) = true, want false")
	}
	left, err := filepath.Glob(filepath.Join(h.inbox, "examples", "*"))
	if err != nil || len(left) != 4 {
		t.Errorf("the examples are %q (%v), want campaign 7's three and mine.csv", left, err)
	}
	other := t.TempDir()
	if err := os.RemoveAll(filepath.Join(h.inbox, "examples")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(h.inbox, "examples")); err != nil {
		t.Fatal(err)
	}
	if err := write(); err == nil {
		t.Error("a link in place of examples/ was followed")
	}
	if found, _ := os.ReadDir(other); len(found) > 0 {
		t.Errorf("%d files were written through the link", len(found))
	}
}
