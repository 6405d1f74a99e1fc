package service

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// TestErrorOfADriverHidesItsSecret: an error of Open may quote what it was given.
func TestErrorOfADriverHidesItsSecret(t *testing.T) {
	m := newMask(nil)
	secret, err := m.recording(func(string) (string, error) { return "wrong", nil })("env:PASSWORD")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.apply("the loft doesn't open with "+secret), "the loft doesn't open with *****"; got != want {
		t.Errorf("masked %q, want %q", got, want)
	}
}

// TestBase64FormsMatchAtEveryAlignment: whatever comes before the secret.
func TestBase64FormsMatchAtEveryAlignment(t *testing.T) {
	const secret = "hunter22"
	for _, before := range []string{"", "u", "us", "use", "user:"} {
		text := base64.StdEncoding.EncodeToString([]byte(before + secret + ":after"))
		if !slices.ContainsFunc(base64Forms(secret), func(form string) bool { return strings.Contains(text, form) }) {
			t.Errorf("behind %q nothing of it is found in %s", before, text)
		}
	}
}
