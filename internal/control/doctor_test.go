package control_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/config"
	"campaignd/internal/control"
)

func TestExamine(t *testing.T) {
	dir := t.TempDir()
	campaigns, secret := filepath.Join(dir, "campaigns"), tokenFile(t, token)
	if err := os.Mkdir(campaigns, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{
		File: "campaignd.toml", StateDir: dir, CampaignsDir: campaigns, TokenFile: secret,
		Inboxes: []config.Inbox{{Path: dir}, {Path: filepath.Join(dir, "none")}, {Path: secret}},
		Applications: []config.Application{{ID: 1, Channels: map[string]config.Channel{
			"email": {PasswordFile: filepath.Join(dir, "no-password")},
		}}},
	}
	getenv := func(string) string { return "" }
	found := control.Examine(cfg, getenv)
	want := []struct {
		check string
		level control.Level
		says  string
	}{
		{"configuration", control.LevelOK, "campaignd.toml is valid"},
		{"state folder", control.LevelOK, "is writable and has"},
		{"inbox", control.LevelOK, "is writable and has"},
		{"inbox", control.LevelFail, "none isn't there"},
		{"inbox", control.LevelFail, "isn't a folder"},
		{"campaigns", control.LevelOK, "has 0 files"},
		{"token_file", control.LevelOK, "can be read"},
		{"channel email of application 1: password_file", control.LevelFail, "no-password"},
		{"clock", control.LevelOK, "the clock says 20"},
	}
	if len(found) != len(want) {
		t.Fatalf("got %d findings, want %d: %+v", len(found), len(want), found)
	}
	for i, w := range want {
		f := found[i]
		if f.Check != w.check || f.Level != w.level || !strings.Contains(f.Message, w.says) || (f.Level == control.LevelFail) != (f.Advice != "") {
			t.Errorf("got %+v, want %+v, with advice where it failed", f, w)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the look left files: %v, %v", entries, err)
	}

	cfg.CampaignsDir = filepath.Join(dir, "none")
	for _, f := range control.Examine(cfg, getenv) {
		if f.Check == "campaigns" && f.Level != control.LevelFail {
			t.Errorf("got %+v", f)
		}
	}
}
