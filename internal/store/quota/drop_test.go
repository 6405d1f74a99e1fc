package quota

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"campaignd/internal/store/db"
)

// A contact that was dropped makes room under every name.
func TestDroppedContactStillCounts(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "quota.db"))
	drop := func(t *db.Tx) error { return Drop(t, slices.Values([][]byte{[]byte("34600000001"), []byte("34x")})) }
	if err := q.db.Update(drop); err != nil {
		t.Errorf("a file without any: %v", err)
	}
	at := time.Now()
	for _, name := range []string{"a", "b"} {
		allow(t, q.Contacts(name, 1), "34600000001", at, true)
		allow(t, q.Contacts(name, 1), "34600000002", at, false)
	}
	if err := q.db.Update(drop); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		allow(t, q.Contacts(name, 1), "34600000002", at, true)
	}
}
