package recipients

import (
	"testing"

	"pgregory.net/rapid"
)

// TestWordsArePlain: what isWord sees at first sight, classify says too, and hasHigh sees every byte.
func TestWordsArePlain(t *testing.T) {
	beginnings := []string{"", "a", "e", "E", "N", "n", "Z", "1", "12", "1E", "1.", "1,", "=", `="`, "#", "##", " ", "+", "-", "\\", "(", "<", "["}
	ends := []string{"", "rr:502", "ULL", "one", "E+15", ".23457E+15", "an", `1"`, "##", "N/D", " ", "/A", "\xc2\x80", "\u00f1", "ombre \u00e1", "\ufffd"}
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.SampledFrom(beginnings).Draw(t, "beginning") + rapid.StringN(0, 9, 20).Draw(t, "middle") + rapid.SampledFrom(ends).Draw(t, "end")
		if got := classify([]byte(cell)); isWord([]byte(cell)) && got != cellPlain {
			t.Errorf("%q is a word of kind %d", cell, got)
		}
		high := false
		for i := range len(cell) {
			high = high || cell[i] >= 0x80
		}
		if got := hasHigh([]byte(cell)); got != high {
			t.Errorf("hasHigh(%q): got %v, want %v", cell, got, high)
		}
	})
}
