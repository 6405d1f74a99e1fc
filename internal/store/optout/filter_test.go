package optout

import (
	"fmt"
	"testing"

	"campaignd/internal/store/db"
)

// TestOptOutFilter: a filter that has grown by layers knows every key, and hardly another.
func TestOptOutFilter(t *testing.T) {
	const n = 3*minFilter + 1 // layers of one, one and two times minFilter
	f := newFilter(0)
	key := func(i int) []byte { return fmt.Append(nil, "346", i) }
	for i := range n {
		f.add([]byte("prefix"), key(i))
	}
	if layers := len(*f.layers.Load()); layers != 3 {
		t.Errorf("%d layers for %d keys, want 3", layers, n)
	}
	wrong := 0
	for i := range n {
		if !f.mayHave([]byte("prefix"), key(i)) {
			t.Fatalf("key %d is missing", i)
		}
		if f.mayHave([]byte("prefix"), key(n+i)) {
			wrong++
		}
	}
	if share := float64(wrong) / n; share > 0.03 {
		t.Errorf("%.1f%% of other keys are perhaps in the filter, want at most 3%%", 100*share)
	} else {
		t.Logf("%.2f%% of other keys are perhaps in the filter", 100*share)
	}
}

// TestOptOutLookupWithoutStore: for a contact that hasn't opted out, the store isn't asked, unless the
// filter isn't filled yet.
func TestOptOutLookupWithoutStore(t *testing.T) {
	o := openTest(t)
	if _, err := o.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: "34600000001"}}); err != nil {
		t.Fatal(err)
	}
	forget(t, o, "34600000002", Place{1, "a"})
	reads := func() (n int) {
		_ = o.db.View(func(t *db.Tx) error { n = t.DB().Stats().TxN; return nil })
		return n
	}
	asks := func(contact string, want bool, out bool) {
		t.Helper()
		before := reads()
		if got, err := o.OptedOut(1, "a", []byte(contact)); got != out || err != nil {
			t.Errorf("%s: opted out %t, %v; want %t", contact, got, err, out)
		}
		if asked := reads() > before+1; asked != want {
			t.Errorf("%s: the store was asked: %t, want %t", contact, asked, want)
		}
	}
	check := func(others bool) {
		t.Helper()
		asks("34600000001", true, true)
		asks("34600000002", true, true)
		asks("34600000003", others, false)
	}
	check(false)
	o.db.Close()
	o = openAt(t, o.db.Path())
	check(true)
	if err := o.FillOptOutFilter(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(false)
}
