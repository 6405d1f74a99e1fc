package main

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// TestTableIsCurrent fails where "make generate" has to be run: after a change to this program or an update of the metadata.
func TestTableIsCurrent(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("table.go has %d bytes and the metadata makes %d others: run make generate", len(got), len(want))
	}
}

// TestNationalForms: carriers' codes and beginnings that an international number could have are no national forms.
func TestNationalForms(t *testing.T) {
	want := map[string][]nationalForm{
		"ES": nil,
		"IT": nil,
		"LU": nil, // carriers only
		"DE": {{strip: "0"}},
		"BR": {{strip: "0"}},
		"AR": {{strip: "0"}},
		"RU": {{strip: "8"}},
		"HU": {{strip: "06"}},
		"LT": {{strip: "0"}, {strip: "8"}},
		"BY": {{strip: "0"}, {strip: "8"}, {strip: "80"}},
		"AG": {{prepend: "268"}, {strip: "1"}},
		"SM": {{prepend: "0549"}},
	}
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metadata.GetMetadata() {
		forms, ok := want[m.GetId()]
		if !ok {
			continue
		}
		got, err := nationalForms(m)
		if err != nil {
			t.Errorf("%s: %v", m.GetId(), err)
		}
		if !slices.Equal(got, forms) {
			t.Errorf("%s: got the forms %q, want %q", m.GetId(), got, forms)
		}
	}
}
