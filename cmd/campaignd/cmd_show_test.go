package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// A drop that is being checked has no application yet.
func TestShowSaysNothingOfWhatIsNotKnownYet(t *testing.T) {
	var out bytes.Buffer
	env := &environment{out: &out, zone: time.UTC}
	var details api.Details
	details.ID, details.Name, details.State = "20260301-000001", "spring", campaign.StateChecking
	details.Percent = 37
	if err := printDetails(env, details); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"application", "campaign", "messages"} {
		if strings.Contains(out.String(), "\n"+word) {
			t.Errorf("it has a line %q:\n%s", word, out.String())
		}
	}
	if want := "checked   37.0%\n"; !strings.Contains(out.String(), want) {
		t.Errorf("no line %q:\n%s", want, out.String())
	}
}

// TestCSVText: a delimiter is said in a word, never as a comma among commas.
func TestCSVText(t *testing.T) {
	for delimiter, want := range map[string]string{
		",":  "46 bytes, utf-8, separated by comma, SHA-256 55",
		";":  "46 bytes, utf-8, separated by semicolon, SHA-256 55",
		"|":  "46 bytes, utf-8, separated by bar, SHA-256 55",
		"\t": "46 bytes, utf-8, separated by tab, SHA-256 55",
	} {
		if got := csvText(campaign.CSVInfo{Bytes: 46, Encoding: "utf-8", Delimiter: delimiter, SHA256: "55"}); got != want {
			t.Errorf("%q: %q, want %q", delimiter, got, want)
		}
	}
}
