package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
	"campaignd/test/golden"
)

// serve runs a daemon's control room for a service, and returns the configuration that means it.
func serve(t *testing.T, service control.Service) (config string) {
	t.Helper()
	dir := t.TempDir()
	config = filepath.Join(dir, "campaignd.toml")
	text := fmt.Sprintf("state_dir = %q\ncampaigns_dir = \"campaigns\"\n[[inboxes]]\npath = \"inbox\"\n[[applications]]\nid = 1\n[applications.channels.cloud_api]\ndriver = \"outbox\"\npath = \"outbox.jsonl\"\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- control.New(service, control.Options{
			Socket:   control.SocketPath(dir),
			OnListen: func(string, string) { close(listening) },
		}).Run(ctx)
	}()
	select {
	case <-listening:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return config
}

// command runs one command line against the daemon that config means.
func command(t *testing.T, config, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"--config", config}, args...), strings.NewReader(in), &o, &e, func(string) string { return "" })
	return code, o.String(), e.String()
}

func TestWhatCommandsPrint(t *testing.T) {
	for _, test := range []struct {
		golden  string
		nothing bool
		in      string
		args    []string
		code    int
	}{
		{golden: "status", args: []string{"status"}},
		{golden: "status-all", args: []string{"status", "--all"}},
		{golden: "status-json", args: []string{"status", "--json"}},
		{golden: "status-nothing", nothing: true, args: []string{"status"}},
		{golden: "show", args: []string{"show", "spring"}},
		{golden: "show-dry-run", args: []string{"show", "trial"}},
		{golden: "show-done", args: []string{"show", "40"}},
		{golden: "show-json", args: []string{"show", "40", "--json"}},
		{golden: "show-unknown", args: []string{"show", "summer"}, code: exitFailed},
		{golden: "timeline", args: []string{"timeline"}},
		{golden: "pause", args: []string{"pause", "42"}},
		{golden: "pause-json", args: []string{"pause", "42", "--json"}},
		{golden: "resume-conflict", args: []string{"resume", "42"}, code: exitFailed},
		{golden: "resume-all", args: []string{"resume", "--all"}},
		{golden: "resume-all-json", args: []string{"resume", "--all", "--json"}},
		{golden: "resume-all-nothing", nothing: true, args: []string{"resume", "--all"}},
		{golden: "resume-channel", args: []string{"resume", "--channel", "cloud_api"}},
		{golden: "resume-channel-json", args: []string{"resume", "--channel", "cloud_api", "--application", "1", "--json"}},
		{golden: "dashboard-off", args: []string{"dashboard"}, code: exitFailed},
		{golden: "cancel", args: []string{"cancel", "20260314-000042"}},
		{golden: "resend", args: []string{"resend", "42", "--failed", "--unknown"}},
		{golden: "resend-dry", args: []string{"resend", "42", "--failed", "--dry-run"}},
		{golden: "resend-json", args: []string{"resend", "42", "--failed", "--json"}},
		{golden: "resend-nothing", args: []string{"resend", "42", "--unknown", "--undelivered"}},
		{golden: "results", args: []string{"results", "42", "--outcome", "failed,unknown", "--outcome", "expired"}},
		{golden: "results-lines", args: []string{"results", "42", "--outcome", "failed,unknown", "--json"}},
		{golden: "suppress-add", args: []string{"suppress", "add", "1", "2", "--channel", "sms"}},
		{golden: "suppress-add-json", args: []string{"suppress", "add", "1", "2", "--json"}},
		{golden: "suppress-remove", args: []string{"suppress", "remove", "1"}},
		{golden: "suppress-remove-json", args: []string{"suppress", "remove", "1", "--json"}},
		{golden: "suppress-list", args: []string{"suppress", "list", "--application", "1"}},
		{golden: "suppress-list-json", args: []string{"suppress", "list", "--json"}},
		{golden: "suppress-import", in: "contactCode\n1\n", args: []string{"suppress", "import", "-"}},
		{golden: "suppress-import-bad", in: "x", args: []string{"suppress", "import", "-"}, code: exitProblems},
		{golden: "suppress-import-bad-json", in: "x", args: []string{"suppress", "import", "-", "--json"}, code: exitProblems},
		{golden: "send-test", args: []string{"send-test", "--application", "1", "--channel", "hook", "--campaign", "7", "--to", "347", "--var", "name=Ann = you"}},
		{golden: "send-test-json", args: []string{"send-test", "--application", "1", "--channel", "hook", "--campaign", "7", "--to", "347", "--json"}},
		{golden: "send-test-failed", args: []string{"send-test", "--application", "1", "--channel", "hook", "--campaign", "7", "--to", "346"}, code: exitFailed},
		{golden: "send-test-variable", args: []string{"send-test", "--application", "1", "--channel", "hook", "--campaign", "7", "--to", "346", "--var", "Ann"}, code: exitUsage},
		{golden: "send-test-flags", args: []string{"send-test", "--application", "1"}, code: exitUsage},
		{golden: "audit", args: []string{"audit", "--since", "24h", "--sending", "42"}},
		{golden: "audit-json", args: []string{"audit", "--json"}},
		{golden: "audit-nothing", nothing: true, args: []string{"audit"}},
		{golden: "doctor", args: []string{"doctor"}},
		{golden: "doctor-deep", args: []string{"doctor", "--deep"}, code: exitProblems},
		{golden: "doctor-json", args: []string{"doctor", "--json"}},
		{golden: "compact", args: []string{"compact"}},
		{golden: "compact-json", args: []string{"compact", "--json"}},
		{golden: "reload", nothing: true, args: []string{"config", "reload"}},
		{golden: "reload-json", nothing: true, args: []string{"config", "reload", "--json"}},
		{golden: "reload-bad", args: []string{"config", "reload"}, code: exitFailed},
		{golden: "complete", args: []string{"__complete", "pause", ""}},
	} {
		t.Run(test.golden, func(t *testing.T) {
			args := test.args
			config := serve(t, &shop{nothing: test.nothing})
			if test.args[0] == "__complete" { // flags stand after the hidden command
				args = []string{"__complete", "--config", config, "pause", ""}
			}
			code, out, errs := command(t, config, test.in, args...)
			if code != test.code {
				t.Errorf("exit status %d, want %d\n%s", code, test.code, errs)
			}
			if slices.Contains(args, "--json") {
				onlyJSON(t, out)
			}
			if errs != "" {
				out += "--- errors ---\n" + errs
			}
			golden.Compare(t, "testdata/golden/"+test.golden+".txt", out)
		})
	}
}

// onlyJSON checks that a text is one JSON value, or one after the other.
func onlyJSON(t *testing.T, text string) {
	t.Helper()
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var value json.RawMessage
		if err := dec.Decode(&value); err == io.EOF {
			return
		} else if err != nil {
			t.Errorf("%v: want only JSON, got\n%s", err, text)
			return
		}
	}
}

// terminalRun is command on a terminal of 100 columns.
func terminalRun(t *testing.T, config string, noColor bool, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	env := newEnvironment(strings.NewReader(""), &out, io.Discard, func(string) string { return "" })
	env.terminal, env.color, env.width = true, !noColor, 100
	root := newRoot(env)
	root.SetArgs(append([]string{"--config", config}, args...))
	if code := env.end(root.ExecuteContext(t.Context())); code != exitDone {
		t.Errorf("exit status %d", code)
	}
	return out.String()
}

func TestWhatATerminalShows(t *testing.T) {
	config := serve(t, &shop{})
	for _, name := range []string{"status", "timeline", "audit"} {
		got := terminalRun(t, config, true, name)
		if strings.Contains(got, "\x1b") {
			t.Errorf("%s: colour, or a stranger's text that the terminal obeys, without colour asked for:\n%q", name, got)
		}
		for line := range strings.Lines(got) {
			if strings.HasPrefix(line, "│") && len([]rune(strings.TrimSuffix(line, "\n"))) > 100 {
				t.Errorf("%s: a row wider than the terminal: %s", name, line)
			}
		}
		golden.Compare(t, "testdata/golden/"+name+"-terminal.txt", got)
	}
	if got := terminalRun(t, config, false, "status"); !strings.Contains(got, "\x1b[33mheld\x1b[0m") {
		t.Errorf("held is not yellow:\n%q", got)
	}
}

func TestColourOnlyWhereItIsWelcome(t *testing.T) {
	env := newEnvironment(strings.NewReader(""), &bytes.Buffer{}, io.Discard, func(string) string { return "" })
	if env.terminal {
		t.Error("a buffer is no terminal: env.terminal = true, want false")
	}
	if env.color {
		t.Error("a buffer is no terminal: env.color = true, want false")
	}
	if got := env.paint("held") + env.bold("x"); got != "heldx" {
		t.Errorf("got %q", got)
	}
}

func TestBackup(t *testing.T) {
	config, dir := serve(t, &shop{}), t.TempDir()
	target := filepath.Join(dir, "copy.db")
	code, out, errs := command(t, config, "", "backup", target)
	if code != exitDone {
		t.Fatalf("%q: code = %v, want %v", errs, code, exitDone)
	}
	if !strings.Contains(out, "is a copy of the store, 9 bytes") {
		t.Fatalf("%q: want \"is a copy of the store, 9 bytes\" in:\n%s", errs, out)
	}
	data, err := os.ReadFile(target)
	if err != nil || string(data) != "the store" {
		t.Errorf("the copy holds %q, %v", data, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy is for others to read: %v, %v", info.Mode(), err)
	}
	switch code, _, errs := command(t, config, "", "backup", target); {
	case code != exitFailed:
		t.Errorf("over a backup: code = %v, want %v", code, exitFailed)
	case !strings.Contains(errs, "already exists"):
		t.Errorf("over a backup: errs = %q, want \"already exists\" in it", errs)
	}
	second := filepath.Join(dir, "second.db")
	switch code, out, _ := command(t, config, "", "backup", second, "--json"); {
	case code != exitDone:
		t.Errorf("--json: code = %v, want %v", code, exitDone)
	case !strings.Contains(out, `"bytes": 9`):
		t.Errorf("--json: want `\"bytes\": 9` in:\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(dir, "third.db.part"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	switch code, _, errs := command(t, config, "", "backup", filepath.Join(dir, "third.db")); {
	case code != exitFailed:
		t.Errorf("beside another: code = %v, want %v", code, exitFailed)
	case !strings.Contains(errs, "another backup is running"):
		t.Errorf("beside another: errs = %q, want \"another backup is running\" in it", errs)
	}
	broken := serve(t, &shop{broken: true})
	if code, _, _ := command(t, broken, "", "backup", filepath.Join(dir, "fourth.db")); code != exitFailed {
		t.Errorf("a backup that broke: %d", code)
	}
	if code, _, _ := command(t, config, "", "backup", filepath.Join(dir, "none", "fifth.db")); code != exitFailed {
		t.Errorf("into no folder: %d", code)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("in the folder: %v, %v", entries, err)
	}
}

func TestSmallWords(t *testing.T) {
	for got, want := range map[string]string{
		doneText(api.Sending{Drop: api.Drop{State: campaign.StateRejected}, Percent: 100}):                                                                                              "",
		rowsText(campaign.StateRejected, campaign.RowCounts{Total: 2, Accepted: 2}):                                                                                                     "2: 2 good, 0 rejected, 0 duplicate",
		doneText(api.Sending{Drop: api.Drop{State: campaign.StateCompleted, Messages: api.Messages{Planned: 3, Sent: 3}}, Percent: 100}):                                                "100.0%",
		doneText(api.Sending{Drop: api.Drop{State: campaign.StateCompleted, Messages: api.Messages{Planned: 3, Sent: 3}}, Percent: 100, Delivery: &campaign.DeliveryCounts{Failed: 2}}): "3 of 3 sent, 2 not delivered",
		percentText(99.99): "99.9%", percentText(100): "100.0%", percentText(0): "0.0%",
		span(1500e6): "2s", span(125e9): "2m5s", span(7260e9): "2h1m", span(-90000e9): "-1d1h", span(420e9): "7m", span(48 * 3600e9): "2d",
		printable("a\x1b[31mb\tc\u202ed\u0085"): `a\u001b[31mb` + "\t" + `c\u202ed\u0085`,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
