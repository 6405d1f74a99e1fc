package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/relay"
	"campaignd/internal/send/drivers"
	"campaignd/test/loopback"
	"campaignd/test/natstest"
)

// startNATS runs a NATS server with JetStream and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	return natstest.Start(t, &server.Options{}).ClientURL()
}

// workerConfig writes and loads a configuration without inboxes.
func workerConfig(t *testing.T, file, nats, channels string) *config.Config {
	t.Helper()
	text := fmt.Sprintf("[nats]\nservers = [%q]\nreplicas = 1\n[[applications]]\nid = 1\n%s", nats, channels)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(file, drivers.All())
	if c == nil {
		t.Fatal(problems.List)
	}
	return c
}

func noEnvironment(string) string { return "" }

func TestWorkerNeedsAChannelThatItCanSend(t *testing.T) {
	for _, tc := range []struct{ channels, want string }{
		{"channels.sms = {driver = \"outbox\", path = \"o\"}", "nothing to do for a worker"},
		{"channels.sms = {driver = \"webhook\", url = \"https://r.example\", secret_file = \"/nowhere\", send_from = \"workers\"}", "secret_file"},
	} {
		c := workerConfig(t, filepath.Join(t.TempDir(), "c.toml"), "nats://127.0.0.1:1", tc.channels)
		err := RunWorker(t.Context(), WorkerOptions{Config: c, Log: slog.New(slog.DiscardHandler), Getenv: noEnvironment})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error is %v, want %q in it", tc.channels, err, tc.want)
		}
	}
}

func TestWorkerLine(t *testing.T) {
	one := relay.WorkerChannel{Name: "sms", InFlight: 2}
	for _, tc := range []struct {
		channels  []relay.WorkerChannel
		connected bool
		want      string
	}{
		{[]relay.WorkerChannel{one}, true, "sends for 1 channel, 2 in flight"},
		{[]relay.WorkerChannel{one, one, {Name: "mail", Reason: "no secret"}}, true, "sends for 2 channels, 4 in flight; can't send for 1 channel"},
		{[]relay.WorkerChannel{one}, false, "waits for NATS: no server answers; sends for 1 channel, 2 in flight"},
	} {
		if got := workerLine(relay.WorkerRecord{Channels: tc.channels}, tc.connected); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// listed waits until ListWorkers returns what ok accepts.
func listed(t *testing.T, c *config.Config, ok func([]api.ClusterWorker) bool) []api.ClusterWorker {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		list, err := ListWorkers(t.Context(), c, noEnvironment)
		if err == nil && ok(list) {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("workers: got %+v, %v", list, err)
		}
	}
}

func TestWorkerAnnouncesItselfReloadsAndStops(t *testing.T) {
	nats, file := startNATS(t), filepath.Join(t.TempDir(), "c.toml")
	channel := func(concurrency int) string {
		return fmt.Sprintf("[applications.channels.sms]\ndriver = \"outbox\"\npath = %q\nsend_from = \"workers\"\nconcurrency = %d\n", filepath.Join(filepath.Dir(file), "o"), concurrency)
	}
	c := workerConfig(t, file, nats, channel(3))
	c.Listen = loopback.FreeAddress(t)
	reloads := make(chan os.Signal, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() {
		ended <- RunWorker(ctx, WorkerOptions{Config: c, Version: "v1", Log: slog.New(slog.DiscardHandler), Getenv: noEnvironment, Reloads: reloads})
	}()
	first := listed(t, c, func(list []api.ClusterWorker) bool { return len(list) == 1 })[0]
	switch {
	case first.Version != "v1":
		t.Errorf(`worker: first.Version: got %q, want "v1"`, first.Version)
	case len(first.Channels) != 1:
		t.Errorf("worker: len(first.Channels): got %v, want 1: %+v", len(first.Channels), first.Channels)
	case first.Channels[0].Places != 3:
		t.Errorf("worker: first.Channels[0].Places: got %v, want 3", first.Channels[0].Places)
	case first.Channels[0].ChannelType != "sms" || first.Channels[0].Reason != "":
		t.Errorf("worker: its channel is %+v, want sms without a reason", first.Channels[0])
	}
	if got := get(t, "http://"+c.Listen+"/readyz"); !strings.Contains(got, `"ready":true`) {
		t.Errorf("readiness: %s", got)
	}
	if got := get(t, "http://"+c.Listen+"/metrics"); !strings.Contains(got, "campaignd_nats_connected 1") {
		t.Errorf("metrics: %s", got)
	}
	workerConfig(t, file, nats, channel(5))
	reloads <- os.Interrupt
	listed(t, c, func(list []api.ClusterWorker) bool { return len(list) == 1 && list[0].Channels[0].Places == 5 })
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the worker ended with %v", err)
	}
	listed(t, c, func(list []api.ClusterWorker) bool { return len(list) == 0 })
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
