package control_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/send/drivers"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse("campaignd.toml", []byte(text), drivers.All())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	return cfg
}

// TestExamine: among the secrets are all of a channel, whatever its driver.
func TestExamine(t *testing.T) {
	dir := t.TempDir()
	campaigns, secret := filepath.Join(dir, "campaigns"), tokenFile(t, token)
	if err := os.Mkdir(campaigns, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, fmt.Sprintf(`token_file = %q
[[inboxes]]
path = "x"
[[applications]]
id = 1
[applications.channels.wa]
driver = "whatsapp"
phone_number_id = "1"
token_file = %[1]q
app_secret_file = "/nowhere/app-secret"
verify_token_file = "/nowhere/verify"
[applications.channels.email]
driver = "smtp"
host = "mail.example"
from = "shop@example.com"
dkim_domain = "example.com"
dkim_selector = "s"
dkim_key_file = "/nowhere/dkim"
`, secret))
	cfg.StateDir, cfg.CampaignsDir = dir, campaigns
	cfg.Inboxes = []config.Inbox{{Path: dir, TokenFile: "/nowhere/partner"}, {Path: filepath.Join(dir, "none")}, {Path: secret}}
	getenv := func(string) string { return "" }
	found := control.Examine(cfg, getenv)
	want := []struct {
		check string
		level api.Level
		says  string
	}{
		{"configuration", api.LevelOK, "campaignd.toml is valid"},
		{"state folder", api.LevelOK, "is writable and has"},
		{"inbox", api.LevelOK, "is writable and has"},
		{"inbox", api.LevelFail, "none isn't there"},
		{"inbox", api.LevelFail, "isn't a folder"},
		{"campaigns", api.LevelOK, "has 0 files"},
		{"token_file", api.LevelOK, "can be read"},
		{"inbox " + dir + ": token_file", api.LevelFail, "/nowhere/partner"},
		{"channel email of application 1: dkim_key_file", api.LevelFail, "/nowhere/dkim"},
		{"channel wa of application 1: token_file", api.LevelOK, "can be read"},
		{"channel wa of application 1: app_secret_file", api.LevelFail, "/nowhere/app-secret"},
		{"channel wa of application 1: verify_token_file", api.LevelFail, "/nowhere/verify"},
		{"clock", api.LevelOK, "the clock says 20"},
	}
	if len(found) != len(want) {
		t.Fatalf("got %d findings, want %d: %+v", len(found), len(want), found)
	}
	for i, w := range want {
		f := found[i]
		switch {
		case f.Check != w.check:
			t.Errorf("f.Check: got %v, want %v", f.Check, w.check)
		case f.Level != w.level:
			t.Errorf("f.Level: got %v, want %v", f.Level, w.level)
		case !strings.Contains(f.Message, w.says):
			t.Errorf("f.Message: got %q, want %q in it", f.Message, w.says)
		case (f.Level == api.LevelFail) != (f.Advice != ""):
			t.Errorf("f.Advice: got %q with the level %v, want advice for failures only", f.Advice, f.Level)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the look left files: %v, %v", entries, err)
	}

	cfg.CampaignsDir, cfg.StateDir = filepath.Join(dir, "none"), filepath.Join(dir, "state")
	for _, f := range control.Examine(cfg, getenv) {
		if want := "the first start makes it"; f.Check == "state folder" && (f.Level != api.LevelWarn || !strings.HasPrefix(f.Advice, want)) {
			t.Errorf("before the first start: got %+v, want a warning that begins with %q", f, want)
		}
		if f.Check == "campaigns" && f.Level != api.LevelFail {
			t.Errorf("got %+v", f)
		}
	}
}
