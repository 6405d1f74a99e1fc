package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/send/drivers"
	"campaignd/internal/store"
)

// openDir creates a folder with a configuration that has the channels, in TOML.
func openDir(t *testing.T, channels string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"in", "campaigns"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "campaignd.toml")
	text := fmt.Sprintf("state_dir = %q\ncampaigns_dir = %q\n[[inboxes]]\npath = %q\n[[applications]]\nid = 1\n%s",
		filepath.Join(dir, "v"), filepath.Join(dir, "campaigns"), filepath.Join(dir, "in"), channels)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(file, drivers.All())
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	return c
}

// All problems of the drivers are reported together, before a store is created.
func TestOpenSaysWhatIsWrongWithDrivers(t *testing.T) {
	c := openDir(t, `
[applications.channels.a]
driver = "webhook"
url = "http://127.0.0.1:1/x"
secret_file = "env:NOWHERE"
[applications.channels.b]
driver = "whatsapp"
phone_number_id = "1"
token_file = "/nowhere/token"
[applications.channels.c]
driver = "smtp"
host = "127.0.0.1"
from = "shop@example.com"
password_file = "env:NOWHERE"
username = "x"
[applications.channels.d]
driver = "outbox"
path = "out.jsonl"
`)
	_, err := Open(Options{Config: c, Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }})
	if err == nil {
		t.Fatal("it opens")
	}
	for _, channel := range []string{"channel a", "channel b", "channel c"} {
		if !strings.Contains(err.Error(), "application 1, "+channel) {
			t.Errorf("%s is not in %v", channel, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(c.StateDir, "campaignd.db")); err == nil {
		t.Error("a store was made")
	}
}

// A daemon answers at its socket, notifies the service manager and excludes a second
// daemon; when it ends, the socket is gone.
func TestRunAnswersAtItsSocket(t *testing.T) {
	c := openDir(t, "[applications.channels.a]\ndriver = \"null\"\n")
	var mu sync.Mutex
	var notified []string
	ready := make(chan struct{})
	options := Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" },
		Notify: func(state string) {
			mu.Lock()
			defer mu.Unlock()
			if first, _, _ := strings.Cut(state, "\n"); !strings.HasPrefix(first, "WATCHDOG") && !strings.HasPrefix(first, "STATUS") {
				notified = append(notified, first)
				if first == "READY=1" && len(notified) == 1 {
					close(ready)
				}
			}
		}}
	d, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(options); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	<-ready
	socket := filepath.Join(c.StateDir, "campaignd.sock")
	client, err := control.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	status, err := client.Status(t.Context())
	switch {
	case err != nil:
		t.Error(err)
	case status.Version != "test":
		t.Errorf("status.Version = %q, want \"test\"", status.Version)
	case status.PID != os.Getpid():
		t.Errorf("status.PID = %v, want %v", status.PID, os.Getpid())
	}
	if err := client.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	client.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is still there")
	}
	mu.Lock()
	defer mu.Unlock()
	notified = slices.DeleteFunc(notified, func(s string) bool { return strings.HasPrefix(s, "EXTEND") })
	if got := strings.Join(notified, " "); got != "READY=1 RELOADING=1 READY=1 STOPPING=1" {
		t.Errorf("the service manager was sent %s", got)
	}
}

// A daemon that can't create its socket ends with an error before it takes anything.
func TestRunWithoutASocket(t *testing.T) {
	c := openDir(t, "[applications.channels.a]\ndriver = \"null\"\n")
	if err := os.MkdirAll(filepath.Join(c.StateDir, "campaignd.sock", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Open(Options{Config: c, Log: slog.New(slog.DiscardHandler), Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "campaignd.sock") {
		t.Errorf("%v", err)
	}
}
