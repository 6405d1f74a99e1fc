package main

import (
	"bytes"
	"strings"
	"testing"

	"campaignd/internal/api"
)

// TestDoctorShowsItsFailureOnANarrowTerminal: the line that matters isn't cut.
func TestDoctorShowsItsFailureOnANarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	env := &environment{out: &out, terminal: true, width: 60}
	findings := []api.Finding{
		{Check: "store", Level: api.LevelOK, Message: "its counts are consistent"},
		{Check: "channel", Level: api.LevelFail, Message: "cloud_api of application 1 is held: 190 the access token has expired on Saturday", Advice: "fix the cause"},
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
	fail, warn := api.Finding{Level: api.LevelFail}, api.Finding{Level: api.LevelWarn}
	for _, test := range []struct {
		findings []api.Finding
		want     string
	}{
		{nil, "no problems"},
		{[]api.Finding{fail}, "1 problem"},
		{[]api.Finding{fail, fail, warn}, "1 warning, 2 problems"},
		{[]api.Finding{warn, warn}, "2 warnings, no problems"},
	} {
		if got := problemsText(test.findings); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
