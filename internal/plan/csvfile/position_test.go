package csvfile

import (
	"testing"

	"pgregory.net/rapid"
)

func TestPosition(t *testing.T) {
	for _, c := range []struct {
		raw  string
		cell int
		want int
	}{
		{"a,b,c", 0, 1},
		{"a,b,c", 1, 3},
		{"a,b,c", 2, 5},
		{"a,b,c", 3, 6}, // none there: the end
		{"", 0, 1},
		{",", 1, 2},
		{"é,日本,x", 2, 6},
		{`"a,b",c`, 1, 7},
		{`"a""",c`, 1, 7},
		{`"a"",""b",c`, 1, 11},
		{`5" pipe,c`, 1, 9}, // a stray quote opens nothing
		{`"",c`, 1, 4},
		{"\"a\nb\",c", 0, 1},
		{"\"a\nb\",c", 1, 0}, // on the next line
	} {
		if got := position([]byte(c.raw), ',', '\n', c.cell); got != c.want {
			t.Errorf("cell %d of %q begins at %d, want %d", c.cell, c.raw, got, c.want)
		}
	}
}

// TestPositionFindsCells: what stands there is the cell, however the ones before it are written.
func TestPositionFindsCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", `"x"`, `"a;b"`, `"q""q"`, `""`, `"""é"""`}), 1, 6).Draw(t, "cells")
		raw, want := "", make([]int, len(cells))
		for i, cell := range cells {
			if i > 0 {
				raw += ";"
			}
			want[i] = len([]rune(raw)) + 1
			raw += cell
		}
		for i := range cells {
			if got := position([]byte(raw), ';', '\n', i); got != want[i] {
				t.Fatalf("cell %d of %q begins at %d, want %d", i, raw, got, want[i])
			}
		}
	})
}
