package config_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/config"
	"campaignd/internal/send/drivers"
	"campaignd/internal/send/outbox"
)

const sample = "../../configs/campaignd.toml"

// TestSampleIsTheContract holds the active lines of the sample to the example in docs/contract.md 11.
func TestSampleIsTheContract(t *testing.T) {
	c, p := config.Load(sample, drivers.All())
	if c == nil {
		t.Fatalf("the sample is refused: %v", p)
	}
	if c.StateDir != "var" {
		t.Errorf("top: c.StateDir = %q, want \"var\"", c.StateDir)
	}
	if c.CampaignsDir != "configs/campaigns" {
		t.Errorf("top: c.CampaignsDir = %q, want \"configs/campaigns\"", c.CampaignsDir)
	}
	if c.Listen != "127.0.0.1:8025" {
		t.Errorf("top: c.Listen = %q, want \"127.0.0.1:8025\"", c.Listen)
	}
	wantInbox := config.Inbox{Path: "inbox", Application: 1, Campaign: 7, AllowApplications: []int64{1}, Settle: 2 * time.Second,
		ContactColumns: []string{"contactCode", "phone", "telefono", "teléfono", "email"}, SidecarWait: 30 * time.Second, PairTimeout: time.Hour, UnterminatedWait: time.Minute, NoteAfter: time.Minute,
		MaxDrops: 10_000, MaxPendingBytes: 16 << 30}
	if got := c.Inboxes[0].Location.String(); got != "Europe/Madrid" {
		t.Errorf("the inbox's time zone is %q, want that of its application, Europe/Madrid", got)
	}
	c.Inboxes[0].Location = nil
	if diff := cmp.Diff([]config.Inbox{wantInbox}, c.Inboxes); diff != "" {
		t.Errorf("inboxes (-want +got):\n%s", diff)
	}
	a := c.Application(1)
	switch {
	case a == nil:
		t.Fatal("application 1: a: got nil")
	case a.Name != "Demo shop":
		t.Fatalf(`application 1: a.Name: got %q, want "Demo shop"`, a.Name)
	case a.Timezone != "Europe/Madrid":
		t.Fatalf(`application 1: a.Timezone: got %q, want "Europe/Madrid"`, a.Timezone)
	case a.Windows != nil:
		t.Fatalf("application 1: a.Windows: got %+v, want none", a.Windows)
	}
	wantSlicing := config.Slicing{Enabled: true, ActivationRecipients: 1000, Slot: 5 * time.Minute, Capacity: 600, Pacing: "even"}
	if diff := cmp.Diff(wantSlicing, a.Slicing); diff != "" {
		t.Errorf("slicing (-want +got):\n%s", diff)
	}
	ch := a.Channels["cloud_api"]
	switch {
	case len(a.Channels) != 1:
		t.Errorf("channels: len(a.Channels): got %v, want 1: %+v", len(a.Channels), a.Channels)
	case ch.Driver != "outbox":
		t.Errorf(`channels: ch.Driver: got %q, want "outbox"`, ch.Driver)
	case ch.Settings.(*outbox.Settings).Path != "var/outbox.jsonl":
		t.Errorf(`channels: ch.Settings.(*outbox.Settings).Path: got %q, want "var/outbox.jsonl"`, ch.Settings.(*outbox.Settings).Path)
	case ch.Rate != 80:
		t.Errorf("channels: ch.Rate: got %v, want 80", ch.Rate)
	case ch.Concurrency != 16:
		t.Errorf("channels: ch.Concurrency: got %v, want 16", ch.Concurrency)
	}
}

// TestSampleShowsDefaults proves that every key is in the sample, and that the
// commented ones stand there with the default that the code has.
func TestSampleShowsDefaults(t *testing.T) {
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	header := regexp.MustCompile(`^#?\[+([a-z._]+)\]+$`)
	line := regexp.MustCompile(`^(#?)([a-z_]+) = (.*)$`)
	scope, keys := config.ScopeTop, config.Keys(drivers.All())
	seen := map[string]bool{}
	var shown []config.Key // of the drivers in the sample, which needn't have all
	inSlicing := regexp.MustCompile(`[a-z_]+ = ("[^"]*"|[a-z0-9]+)`)
	check := func(commented bool, scope config.Scope, name, value string) {
		for i := range keys {
			k := &keys[i]
			if k.Scope != scope || k.Name != name {
				continue
			}
			seen[string(scope)+" "+name] = true
			hasDefault := !k.Required && k.Default != ""
			if commented && hasDefault && value != k.Default {
				t.Errorf("[%s] %s: got %s, want the default %s", scope, name, value, k.Default)
			}
			return
		}
		t.Errorf("[%s] %s is no key", scope, name)
	}
	lines := strings.Split(string(data), "\n")
	for n, text := range lines {
		if m := header.FindStringSubmatch(text); m != nil {
			scope, keys = config.Scope(m[1]), config.Keys(drivers.All())
			if strings.HasPrefix(m[1], "applications.channels.") {
				scope = config.ScopeChannel
			}
		} else if m := line.FindStringSubmatch(text); m != nil {
			if m[2] == "driver" {
				d := driverOf(t, strings.Trim(m[3], `"`))
				keys = config.ChannelKeys(drivers.All(), &d)
				shown = append(shown, d.Keys...)
			}
			if m[2] == "slicing" {
				for _, pair := range inSlicing.FindAllString(m[3], -1) {
					name, value, _ := strings.Cut(pair, " = ")
					check(false, config.ScopeSlicing, name, value)
				}
				for _, pair := range inSlicing.FindAllString(lines[n-1], -1) {
					name, value, _ := strings.Cut(pair, " = ")
					check(true, config.ScopeSlicing, name, value)
				}
				continue
			}
			check(m[1] == "#", scope, m[2], m[3])
		}
	}
	for _, k := range append(config.Keys(drivers.All()), shown...) {
		if !seen[string(k.Scope)+" "+k.Name] {
			t.Errorf("[%s] %s is not in the sample", k.Scope, k.Name)
		}
	}
}

func driverOf(t *testing.T, name string) config.Driver {
	t.Helper()
	all := drivers.All()
	i := slices.IndexFunc(all, func(d config.Driver) bool { return d.Name == name })
	if i < 0 {
		t.Fatalf("there is no driver %q", name)
	}
	return all[i]
}

// TestSampleUncommented: with every # of a key taken away the sample is still right.
func TestSampleUncommented(t *testing.T) {
	data, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#(\[|[a-z_]+ = )`).ReplaceAllString(string(data), "$1")
	c := mustParse(t, text)
	switch {
	case len(c.Applications[0].Channels) != 4:
		t.Errorf("not everything was uncommented: len(c.Applications[0].Channels) = %v, want 4", len(c.Applications[0].Channels))
	case c.Applications[0].Windows == nil:
		t.Error("not everything was uncommented: c.Applications[0].Windows is nil")
	}
}
