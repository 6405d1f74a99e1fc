package optout

import (
	"cmp"
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"campaignd/internal/store/db"
)

// open opens a file that has opt-outs and nothing else.
func open(path string) (*Table, error) {
	first := func(t *bbolt.Tx) error { return cmp.Or(Create(t), Pack(t)) }
	file, err := db.Open(path, db.Options{NoSync: true, InitialMmapSize: 1 << 20}, db.Schema{Numbered: bucketOptOuts, Migrations: []func(*bbolt.Tx) error{first}})
	if err != nil {
		return nil, err
	}
	return Open(file)
}

func openTest(t testing.TB) *Table {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "optouts.db"))
}

func openAt(t testing.TB, path string) *Table {
	t.Helper()
	o, err := open(path)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { o.db.Close() })
	return o
}

// problems returns what Verify finds.
func problems(t testing.TB, o *Table) (found []string) {
	t.Helper()
	if err := o.db.View(func(tx *db.Tx) error {
		return Verify(tx, func(format string, args ...any) error {
			found = append(found, fmt.Sprintf(format, args...))
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// forget forgets a contact of one place.
func forget(t testing.TB, o *Table, contact string, place Place) {
	t.Helper()
	if err := o.db.Update(o.Contact(contact, []Place{place}).Forget); err != nil {
		t.Fatal(err)
	}
}
