package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/test/golden"
)

// onTerminal runs a command on a terminal of that width, without color.
func onTerminal(t *testing.T, config string, width int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	env := newEnvironment(strings.NewReader(""), &out, io.Discard, func(string) string { return "" })
	env.terminal, env.width = true, width
	root := newRoot(env)
	root.SetArgs(append([]string{"--config", config}, args...))
	if code := env.end(root.ExecuteContext(t.Context())); code != exitDone {
		t.Errorf("%v: exit status %d", args, code)
	}
	return out.String()
}

// TestANarrowTerminalLosesWholeColumns: at 80 columns nothing is cut, and what is left out is said.
func TestANarrowTerminalLosesWholeColumns(t *testing.T) {
	config := serve(t, &shop{})
	got := onTerminal(t, config, 80, "status")
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "│") && len([]rune(line)) > 81 {
			t.Errorf("a row wider than the terminal: %s", line)
		}
	}
	if want := "Left out to fit 80 columns: next, planned, unknown, end, sent, expired; --wide shows all.\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
	golden.Compare(t, "testdata/golden/status-80.txt", got)
	switch got := onTerminal(t, config, 80, "status", "--wide"); {
	case !strings.Contains(got, "│ planned │"):
		t.Errorf("--wide: got %q, want \"│ planned │\" in it", got)
	case strings.Contains(got, "Left out"):
		t.Errorf("--wide: got %q, want no \"Left out\" in it", got)
	}
	if got := onTerminal(t, config, 200, "status"); strings.Contains(got, "Left out") {
		t.Errorf("a wide terminal: got\n%s", got)
	}
}

func TestColumnsGoInTheirOrder(t *testing.T) {
	g := grid{header: []string{"id", "name", "sent", "next"}, right: []int{2}, wrap: 2, drop: []int{3, 2}, rows: [][]string{{"1", strings.Repeat("x", 90), "22", "soon"}}}
	for width, want := range map[int]string{100: "[]", 48: "[]", 44: "[3]", 36: "[3 2]", 3: "[3 2]"} {
		if got := fmt.Sprint(g.leftOut(width)); got != want {
			t.Errorf("width %d: columns %s are left out, want %s", width, got, want)
		}
	}
}

// TestTimesAreInTheApplicationsZone: one zone per view, with its name, and --utc for UTC.
func TestTimesAreInTheApplicationsZone(t *testing.T) {
	config := serve(t, &shop{})
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	zoned := filepath.Join(t.TempDir(), "campaignd.toml")
	if err := os.WriteFile(zoned, bytes.Replace(text, []byte("id = 1\n"), []byte("id = 1\ntimezone = \"Europe/Madrid\"\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"show", "spring"}, []string{"times in      Europe/Madrid", "received      2026-03-14 12:00:00 CET"}},
		{[]string{"show", "spring", "--utc"}, []string{"times in      UTC", "received      2026-03-14 11:00:00 UTC"}},
		{[]string{"status"}, []string{"times in    Europe/Madrid", "2026-03-14 13:05:00 CET"}},
		{[]string{"status", "--utc"}, []string{"times in    UTC", "2026-03-14 12:05:00 UTC"}},
		{[]string{"audit"}, []string{"2026-03-14 13:00:00 CET"}},
		{[]string{"show", "spring", "--json"}, []string{`"receivedAt": "2026-03-14T11:00:00Z"`, `"planned": 12000`}},
	} {
		_, out, errs := command(t, zoned, "", c.args...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: got\n%s%s\nwant %q", c.args, out, errs, want)
			}
		}
	}
	if got := onTerminal(t, zoned, 120, "audit"); !strings.Contains(got, "at (Europe/Madrid)") {
		t.Errorf("got\n%s\nwant the zone in the title", got)
	}
}

func TestHelpFitsTheTerminal(t *testing.T) {
	for _, width := range []int{80, 120} {
		for _, args := range [][]string{{"--help"}, {"status", "--help"}, {"send-test", "--help"}, {"help", "check"}} {
			var out bytes.Buffer
			env := newEnvironment(strings.NewReader(""), &out, io.Discard, func(string) string { return "" })
			env.terminal, env.width = true, width
			root := newRoot(env)
			root.SetArgs(args)
			if err := root.ExecuteContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			example := false
			for line := range strings.Lines(out.String()) {
				line = strings.TrimRight(line, "\n")
				example = strings.HasPrefix(line, "Examples:") || example && line != ""
				if example || strings.HasPrefix(line, "  campaignd ") { // what is to be copied isn't broken
					continue
				}
				if got := len([]rune(line)); got > width {
					t.Errorf("%v: got a line of %d, want at most %d: %s", args, got, width, line)
				}
			}
		}
	}
}
