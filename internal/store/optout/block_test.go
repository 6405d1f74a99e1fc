package optout

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSpellings: the text as given comes back from the key, and one style of writing has one spelling.
func TestSpellings(t *testing.T) {
	for _, c := range []struct{ key, given string }{
		{"34666777120", "34666777120"}, {"34666777120", "+34 666 777 120"}, {"34666777120", "0034666777120"}, {"34666777120", "666 777 120"},
		{"34666777120", "whatsapp:+34666777120"}, {"34666777120", "34666777120.0"}, {"ada@example.com", "Ada@Example.com"}, {"x", ""}, {"", "x"},
	} {
		got, err := unspell([]byte(c.key), spell([]byte(c.key), []byte(c.given)))
		if err != nil || string(got) != c.given {
			t.Errorf("%q of key %q is %q, %v", c.given, c.key, got, err)
		}
	}
	if a, b := spell([]byte("34666777120"), []byte("+34 666 777 120")), spell([]byte("34600000001"), []byte("+34 600 000 001")); a != b {
		t.Errorf("spellings %q and %q", a, b)
	}
	rapid.Check(t, func(rt *rapid.T) {
		key := []byte(rapid.StringMatching(`[0-9a]{0,12}`).Draw(rt, "key"))
		given := []byte(rapid.StringMatching(`[0-9+ aé]{0,20}`).Draw(rt, "given"))
		if got, err := unspell(key, spell(key, given)); err != nil || !bytes.Equal(got, given) {
			rt.Fatalf("%q of key %q is %q, %v", given, key, got, err)
		}
	})
}

// TestOptOutBlocks: a block keeps its entries, and finds exactly their keys.
func TestOptOutBlocks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.StringMatching(`[01]{0,6}`)
		keys := rapid.SliceOfNDistinct(key, 0, 40, rapid.ID).Draw(rt, "keys")
		slices.Sort(keys)
		var entries []entry
		for _, k := range keys {
			entries = append(entries, entry{[]byte(k), rapid.Uint32Range(0, 2).Draw(rt, "origin"), spell([]byte(k), []byte("+"+k))})
		}
		value := encodeBlock(entries)
		got, err := decodeBlock(value)
		if diff := cmp.Diff(entries, got, cmp.AllowUnexported(entry{})); diff != "" || err != nil {
			rt.Fatalf("%v: %s", err, diff)
		}
		for range 20 {
			k := key.Draw(rt, "look for")
			has, err := blockHas(value, []byte(k))
			if want := slices.Contains(keys, k); has != want || err != nil {
				rt.Fatalf("%q in %q: %t, want %t, %v", k, keys, has, want, err)
			}
		}
	})
}

// FuzzOptOuts: hostile blocks give an error, and never a panic.
func FuzzOptOuts(f *testing.F) {
	f.Add(encodeBlock([]entry{{[]byte("34600000001"), 1, ""}, {[]byte("34600000002"), 1, spell([]byte("34600000002"), []byte("+34600000002"))}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		entries, err := decodeBlock(value)
		_, _ = blockHas(value, []byte("34600000002"))
		if err != nil {
			return
		}
		for _, e := range entries {
			_, _ = unspell(e.key, e.spelling)
			switch has, err := blockHas(value, e.key); {
			case !has:
				t.Errorf("%q isn't found: %v", e.key, err)
			case err != nil:
				t.Errorf("%q isn't found: %v", e.key, err)
			}
		}
	})
}
