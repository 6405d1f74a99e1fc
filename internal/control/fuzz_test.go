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
		if err != nil && api.CodeOf(err) != api.CodeNotFound && api.CodeOf(err) != api.CodeConflict {
			t.Errorf("Match(%q): %v", text, err)
		}
		for _, k := range known {
			if got, err := control.Match(string(k.ID), known); got != k.ID || err != nil {
				t.Errorf("Match(%q) = %q, %v among drops named %q", k.ID, got, err, campaign.ID(name))
			}
		}
	})
}
