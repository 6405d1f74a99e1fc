package control_test

import (
	"slices"
	"testing"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

// FuzzMatch: a text finds an existing sending or returns the reason why not; a full id
// finds itself whatever the drops are named.
func FuzzMatch(f *testing.F) {
	f.Add("42", "spring")
	f.Add("20260314-000042", "20260314-000043")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		known := []control.SendingName{{"20260314-000042", name}, {"20260314-000043", "summer"}, {"20260315-000100", name}}
		id, err := control.Match(text, known)
		there := slices.ContainsFunc(known, func(k control.SendingName) bool { return k.ID == id })
		if there != (err == nil) {
			t.Errorf("Match(%q) = %q, %v", text, id, err)
		}
		if code := api.CodeOf(err); err != nil && code != api.CodeNotFound && code != api.CodeConflict {
			t.Errorf("Match(%q): got %v with code %q, want %q or %q", text, err, code, api.CodeNotFound, api.CodeConflict)
		}
		for _, k := range known {
			if got, err := control.Match(string(k.ID), known); got != k.ID || err != nil {
				t.Errorf("Match(%q) = %q, %v among drops named %q", k.ID, got, err, campaign.ID(name))
			}
		}
	})
}
