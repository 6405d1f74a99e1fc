package source

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// Findings come in the order of the text, whatever order found them.
func TestFindingsAreInOrderOfTheText(t *testing.T) {
	var f Findings
	f.Add("late", 6, "b", "is %d", 2)
	f.Add("early", 0, "a", "is %d", 1)
	want := campaign.Problems{Count: 2, List: []campaign.Problem{
		{Code: "early", File: "x", Line: 1, Column: 1, Field: "a", Message: "is 1"},
		{Code: "late", File: "x", Line: 2, Column: 3, Field: "b", Message: "is 2"},
	}}
	if diff := cmp.Diff(want, f.Problems("x", []byte("abc\nde\n"))); diff != "" {
		t.Error(diff)
	}
}

// Of a text full of faults the first in the text are listed, and all are counted, in bounded memory.
func TestFindingsAreBounded(t *testing.T) {
	var f Findings
	text := make([]byte, 2*maxFindings)
	for i := range text {
		f.Add("", len(text)-i, "", "x")
	}
	if !f.Full() {
		t.Errorf("%d findings aren't too many", len(text))
	}
	p := f.Problems("x", text)
	if p.Count != len(text) {
		t.Errorf("got the count %d, want %d", p.Count, len(text))
	}
	if len(p.List) != campaign.MaxProblems {
		t.Errorf("%d are listed, want %d", len(p.List), campaign.MaxProblems)
	}
}
