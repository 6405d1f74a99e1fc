package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"campaignd/internal/calendar"
	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/send/drivers"
	"campaignd/test/golden"
)

// minimal is the least that a configuration holds.
const minimal = `
[[inboxes]]
path = "in"
[[applications]]
id = 1
[applications.channels.sms]
driver = "outbox"
path = "out.jsonl"
`

func mustParse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, p := config.Parse("campaignd.toml", []byte(text), drivers.All())
	for _, one := range p.List {
		t.Errorf("unexpected problem: %s", one)
	}
	if c == nil {
		t.FailNow()
	}
	return c
}

func sameAs() cmp.Option {
	return cmp.Options{cmpopts.IgnoreFields(config.Config{}, "File"), cmpopts.IgnoreUnexported(config.Config{}, config.Channel{}),
		cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
		cmp.Comparer(func(a, b calendar.Schedule) bool { return reflect.DeepEqual(a, b) }),
		cmp.Comparer(func(a, b *calendar.Windows) bool { return reflect.DeepEqual(a, b) })}
}

// Every file of testdata/broken gives the errors beside it, all at once.
func TestBrokenConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.toml")
	switch {
	case err != nil:
		t.Fatalf("no broken configurations: %v", err)
	case len(files) == 0:
		t.Fatal("no broken configurations: len(files) is 0")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, p := config.Parse(filepath.Base(file), data, drivers.All())
			switch {
			case c != nil:
				t.Fatalf("was accepted: c = %+v, want nil", c)
			case p.Count == 0:
				t.Fatal("was accepted: p.Count is 0")
			}
			var b strings.Builder
			for _, one := range p.List {
				b.WriteString(one.String() + "\n")
				if one.Line == 0 {
					t.Errorf("no position: %s", one)
				}
			}
			golden.Compare(t, strings.TrimSuffix(file, ".toml")+".errors", b.String())
		})
	}
}

func TestDefaults(t *testing.T) {
	c := mustParse(t, minimal)
	in, a, ch := c.Inboxes[0], c.Applications[0], c.Applications[0].Channels["sms"]
	for _, one := range []struct {
		name      string
		got, want any
	}{
		{"settle", in.Settle, 2 * time.Second},
		{"sidecar_wait", in.SidecarWait, 30 * time.Second},
		{"pair_timeout", in.PairTimeout, time.Hour},
		{"unterminated_wait", in.UnterminatedWait, time.Minute},
		{"note_after", in.NoteAfter, time.Minute},
		{"require_sidecar", in.RequireSidecar, false},
		{"max_drops", in.MaxDrops, 10_000},
		{"max_pending_bytes", in.MaxPendingBytes, int64(16 << 30)},
		{"rescan", c.Rescan.Next(time.Unix(100, 0)).UTC(), time.Unix(110, 0).UTC()},
		{"listen", c.Listen, ""},
		{"stop_timeout", c.StopTimeout, 10 * time.Second},
		{"retry_hold", c.RetryHold, 5 * time.Minute},
		{"duplicate_window", a.DuplicateWindow, 24 * time.Hour},
		{"max_bad_rows", a.MaxBadRows, 0.1},
		{"max_rows", a.MaxRows, 10_000_000},
		{"max_file_size", a.MaxFileSize, int64(2 << 30)},
		{"dedupe", a.Dedupe, true},
		{"schedule_grace", a.ScheduleGrace, 15 * time.Minute},
		{"max_lateness", a.MaxLateness, 24 * time.Hour},
		{"slicing", a.Slicing, config.Slicing{ActivationRecipients: 1, Slot: 5 * time.Minute, Pacing: "even"}},
		{"rate", ch.Rate, 0.0},
		{"concurrency", ch.Concurrency, 16},
		{"max_attempts", ch.MaxAttempts, 6},
		{"refusals_in_a_row", ch.RefusalsInARow, 20},
		{"retry_base", ch.RetryBase, time.Second},
		{"retry_max", ch.RetryMax, 10 * time.Minute},
		{"on_unknown", ch.OnUnknown, "retry"},
	} {
		if diff := cmp.Diff(one.want, one.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", one.name, diff)
		}
	}
	switch {
	case c.Application(1) == nil:
		t.Error("Application finds the wrong one: c.Application(1) is nil")
	case c.Application(2) != nil:
		t.Errorf("Application finds the wrong one: c.Application(2) = %+v, want nil", c.Application(2))
	}
}

// The default of on_unknown goes by the driver (docs/contract.md 8).
func TestOnUnknownByDriver(t *testing.T) {
	for driver, want := range map[string]string{"webhook": "retry", "whatsapp": "hold", "smtp": "hold"} {
		own := map[string]string{
			"webhook":  `url = "http://127.0.0.1/"`,
			"whatsapp": "phone_number_id = \"1\"\ntoken_file = \"t\"",
			"smtp":     "host = \"mail\"\nfrom = \"a@b.example\"",
		}[driver]
		c := mustParse(t, "[[inboxes]]\npath = \"in\"\n[[applications]]\nid = 1\n[applications.channels.x]\ndriver = \""+driver+"\"\n"+own)
		if got := c.Applications[0].Channels["x"].OnUnknown; got != want {
			t.Errorf("%s: on_unknown is %q, want %q", driver, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	top := func(line string) string { return line + "\n" + minimal }
	app := func(line string) string { return strings.Replace(minimal, "id = 1\n", "id = 1\n"+line+"\n", 1) }
	channel := func(line string) string { return minimal + line + "\n" }
	for _, one := range []struct {
		name, text string
		got        func(*config.Config) any
		want       any
	}{
		{"share in percent", app(`max_bad_rows = "2.5%"`), func(c *config.Config) any { return c.Applications[0].MaxBadRows }, 0.025},
		{"share as number", app(`max_bad_rows = 0.5`), func(c *config.Config) any { return c.Applications[0].MaxBadRows }, 0.5},
		{"no bad row at all", app(`max_bad_rows = 0`), func(c *config.Config) any { return c.Applications[0].MaxBadRows }, 0.0},
		{"size in bytes", app(`max_file_size = 1_000`), func(c *config.Config) any { return c.Applications[0].MaxFileSize }, int64(1000)},
		{"size with unit", app(`max_file_size = "3 MiB"`), func(c *config.Config) any { return c.Applications[0].MaxFileSize }, int64(3 << 20)},
		{"hexadecimal", app(`max_rows = 0x10`), func(c *config.Config) any { return c.Applications[0].MaxRows }, 16},
		{"rate as integer", channel(`rate = 80`), func(c *config.Config) any { return c.Applications[0].Channels["sms"].Rate }, 80.0},
		{"rate below one", channel(`rate = 0.1`), func(c *config.Config) any { return c.Applications[0].Channels["sms"].Rate }, 0.1},
		{"rescan every", top(`rescan = "every 30s"`), func(c *config.Config) any { return c.Rescan.Next(time.Unix(0, 0)).Unix() }, int64(30)},
		{"rescan length", top(`rescan = "30s"`), func(c *config.Config) any { return c.Rescan.Next(time.Unix(0, 0)).Unix() }, int64(30)},
		{"rescan cron", top(`rescan = "* * * * *"`), func(c *config.Config) any { return c.Rescan.Next(time.Unix(0, 0)).Unix() }, int64(60)},
		{"listen without host is loopback", top(`listen = ":8025"`), func(c *config.Config) any { return c.Listen }, "127.0.0.1:8025"},
		{"listen far with token", top("listen = \"0.0.0.0:80\"\ntoken_file = \"t\""), func(c *config.Config) any { return c.Listen }, "0.0.0.0:80"},
		{"inline tables for [[tables]]", `inboxes = [{path = "in"}, {path = "in2"}]` + strings.Replace(minimal, "[[inboxes]]\npath = \"in\"", "", 1), func(c *config.Config) any { return len(c.Inboxes) }, 2},
		{"dotted keys", top("log.level = \"debug\""), func(c *config.Config) any { return c.Log.Level }, "debug"},
		{"a BOM", "\ufeff" + minimal, func(c *config.Config) any { return len(c.Inboxes) }, 1},
		{"CRLF", strings.ReplaceAll(minimal, "\n", "\r\n"), func(c *config.Config) any { return len(c.Inboxes) }, 1},
		{"zone", app(`timezone = "Europe/Madrid"`), func(c *config.Config) any { return c.Applications[0].Location.String() }, "Europe/Madrid"},
		{"contacts of an outbox", channel(`rate = 1`), func(c *config.Config) any { return c.Applications[0].ContactRules("sms").Kind() }, contact.Any},
		{"contacts as written", channel(`contacts = "phone"`), func(c *config.Config) any { return c.Applications[0].ContactRules("sms").Kind() }, contact.Phone},
		{"contacts of WhatsApp", app("channels.wa = {driver = \"whatsapp\", phone_number_id = \"1\", token_file = \"t\"}"),
			func(c *config.Config) any { return c.Applications[0].ContactRules("wa").Kind() }, contact.Phone},
		{"contacts of a channel that doesn't exist", minimal, func(c *config.Config) any { return c.Applications[0].ContactRules("x").Kind() }, contact.Any},
		{"country", app("country = \"ES\"\nchannels.s = {driver = \"outbox\", path = \"o\", contacts = \"phone\"}"), func(c *config.Config) any {
			n, _ := c.Applications[0].ContactRules("s").Normalize(nil, []byte("612345678"))
			return string(n.To)
		}, "34612345678"},
		{"no [nats]", minimal, func(c *config.Config) any { return c.NATS }, (*config.NATS)(nil)},
		{"[nats]", minimal + "[nats]\nservers = [\"nats://127.0.0.1:4222\"]\n", func(c *config.Config) any { return *c.NATS },
			config.NATS{Servers: []string{"nats://127.0.0.1:4222"}, Name: "campaignd", Replicas: 3}},
		{"no [standby]", minimal, func(c *config.Config) any { return c.Standby }, (*config.Standby)(nil)},
		{"[standby]", minimal + "[nats]\nservers = [\"nats://127.0.0.1:4222\"]\n[standby]\n", func(c *config.Config) any { return *c.Standby },
			config.Standby{Lease: 3 * time.Second, Replication: config.ReplicationRequired}},
		{"a worker without inboxes", strings.Replace(minimal, "[[inboxes]]\npath = \"in\"", "nats = {servers = [\"nats://127.0.0.1:4222\"]}", 1), func(c *config.Config) any { return len(c.Inboxes) }, 0},
		{"workers send", channel("send_from = \"workers\"\n[nats]\nservers = [\"nats://127.0.0.1:4222\"]"), func(c *config.Config) any { return c.Applications[0].Channels["sms"].Remote() }, true},
		{"windows with a zone of their own", app(`windows = ["TZ=Europe/Madrid * 9 * * *"]`), func(c *config.Config) any {
			return c.Applications[0].Windows.Open(time.Date(2026, 7, 1, 7, 30, 0, 0, time.UTC))
		}, true},
		{"no windows", minimal, func(c *config.Config) any { return c.Applications[0].Windows == nil }, true},
		{"inboxes side by side", top(`inboxes = []`)[:0] + minimal + "[[inboxes]]\npath = \"in2\"\n", func(c *config.Config) any { return len(c.Inboxes) }, 2},
	} {
		t.Run(one.name, func(t *testing.T) {
			if diff := cmp.Diff(one.want, one.got(mustParse(t, one.text))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	none := func(string) string { return "" }
	env := func(name string) string { return map[string]string{config.EnvFile: "from-env.toml"}[name] }
	t.Chdir(t.TempDir())
	if got, err := config.Find("flag.toml", env); got != "flag.toml" || err != nil {
		t.Errorf("flag: got %q, %v", got, err)
	}
	if got, err := config.Find("", env); got != "from-env.toml" || err != nil {
		t.Errorf("environment: got %q, %v", got, err)
	}
	if _, err := os.Stat(config.Places()[1]); os.IsNotExist(err) {
		if got, err := config.Find("", none); err == nil || !strings.Contains(err.Error(), "--config") {
			t.Errorf("nowhere: got %q, %v", got, err)
		}
	}
	if err := os.MkdirAll("configs", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config.Places()[0], []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Find("", none)
	if got != config.Places()[0] || err != nil {
		t.Errorf("first place: got %q, %v", got, err)
	}
	c, p := config.Load(got, drivers.All())
	switch {
	case c == nil:
		t.Errorf("load %q: c is nil", got)
	case p.Count != 0:
		t.Errorf("load %q: p.Count = %v, want 0", got, p.Count)
	case c.File != got:
		t.Errorf("load %q: c.File = %q, want %q", got, c.File, got)
	}
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "missing.toml"), t.TempDir()} {
		c, p := config.Load(path, drivers.All())
		switch {
		case c != nil:
			t.Errorf("c: got %+v, want none", c)
		case p.Count != 1:
			t.Errorf("p.Count: got %v, want 1", p.Count)
		case p.List[0].File != path:
			t.Errorf("p.List[0].File: got %v, want %v", p.List[0].File, path)
		case !strings.Contains(p.List[0].Message, "can't be read"):
			t.Errorf(`p.List[0].Message: got %q, want "can't be read" in it`, p.List[0].Message)
		}
	}
	switch c, p := config.Parse("big.toml", make([]byte, 1<<20+1), drivers.All()); {
	case c != nil:
		t.Errorf("too large: c = %+v, want nil", c)
	case p.Count != 1:
		t.Errorf("too large: p.Count = %v, want 1", p.Count)
	}
}

// A file of nothing but errors ends soon, with the count of them.
func TestManyErrors(t *testing.T) {
	c, p := config.Parse("x.toml", []byte(strings.Repeat("a b\n", 100_000)), drivers.All())
	switch {
	case c != nil:
		t.Errorf("c = %+v, want nil", c)
	case p.Count < 1000:
		t.Errorf("p.Count = %v, want at least 1000", p.Count)
	case len(p.List) != 100:
		t.Errorf("len(p.List) = %v, want 100", len(p.List))
	}
}

func TestChannelsOfApplications(t *testing.T) {
	c := &config.Config{Applications: []config.Application{
		{ID: 1, Channels: map[string]config.Channel{"sms": {Rate: 5}, "email": {Rate: 2}, "cloud_api": {}}},
		{ID: 2, Channels: map[string]config.Channel{"sms": {Rate: 1}, "push": {}}},
	}}
	if diff := cmp.Diff([]string{"cloud_api", "email", "push", "sms"}, c.ChannelNames([]int64{1, 2, 3})); diff != "" {
		t.Error(diff)
	}
	for _, one := range []struct {
		application int64
		channels    []string
		want        float64
	}{{1, []string{"sms", "cloud_api"}, 5}, {1, []string{"sms", "email"}, 2}, {1, []string{"cloud_api"}, 0}, {3, []string{"sms"}, 0}} {
		if got := c.SlowestRate(one.application, one.channels); got != one.want {
			t.Errorf("%v: %v", one, got)
		}
	}
}
