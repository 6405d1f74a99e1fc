package main

import (
	"testing"

	"campaignd/internal/campaign"
)

// TestCSVText: a delimiter is said in a word, never as a comma among commas.
func TestCSVText(t *testing.T) {
	for delimiter, want := range map[string]string{
		",":  "46 B, utf-8, separated by comma, SHA-256 55",
		";":  "46 B, utf-8, separated by semicolon, SHA-256 55",
		"|":  "46 B, utf-8, separated by bar, SHA-256 55",
		"\t": "46 B, utf-8, separated by tab, SHA-256 55",
	} {
		if got := csvText(campaign.CSVInfo{Bytes: 46, Encoding: "utf-8", Delimiter: delimiter, SHA256: "55"}); got != want {
			t.Errorf("%q: %q, want %q", delimiter, got, want)
		}
	}
}
