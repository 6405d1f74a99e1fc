package db

import "testing"

func TestReasonOfAnOlderCopyCounts(t *testing.T) {
	for lost, want := range []string{"", "from an older copy, which lacks the last change", "from an older copy, which lacks the last 2 changes"} {
		past := generation{tag: "a", count: 10}
		if got := past.behind(generation{tag: "a", count: 10 - uint64(lost)}, true); got != want {
			t.Errorf("with %d lost: got %q, want %q", lost, got, want)
		}
	}
}
