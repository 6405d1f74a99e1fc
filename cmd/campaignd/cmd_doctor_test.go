package main

import (
	"bytes"
	"strings"
	"testing"

	"campaignd/internal/control"
)

// TestDoctorShowsItsFailureOnANarrowTerminal: the line that matters isn't cut.
func TestDoctorShowsItsFailureOnANarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	env := &environment{out: &out, terminal: true, width: 60}
	findings := []control.Finding{
		{Check: "store", Level: control.LevelOK, Message: "its counts are consistent"},
		{Check: "channel", Level: control.LevelFail, Message: "cloud_api of application 1 is held: 190 the access token has expired on Saturday", Advice: "fix the cause"},
	}
	if err := printFindings(env, findings); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, field := range strings.Fields(out.String()) {
		if field != "│" {
			words = append(words, field)
		}
	}
	if got, want := strings.Join(words, " "), "expired on Saturday"; !strings.Contains(got, want) {
		t.Errorf("%q isn't in\n%s", want, out.String())
	}
	if got, want := strings.TrimSpace(out.String()), "1 problem"; !strings.HasSuffix(got, want) {
		t.Errorf("it doesn't end with %q:\n%s", want, got)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 60 && strings.ContainsAny(line, "│╭╰") {
			t.Errorf("a line has %d characters: %s", n, line)
		}
	}
}

func TestProblemsAreCounted(t *testing.T) {
	fail, warn := control.Finding{Level: control.LevelFail}, control.Finding{Level: control.LevelWarn}
	for _, test := range []struct {
		findings []control.Finding
		want     string
	}{
		{nil, "no problems"},
		{[]control.Finding{fail}, "1 problem"},
		{[]control.Finding{fail, fail, warn}, "1 warning, 2 problems"},
		{[]control.Finding{warn, warn}, "2 warnings, no problems"},
	} {
		if got := problemsText(test.findings); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
