package db

import (
	"context"
	"errors"
	"os"
	"testing"
)

func wantNoTemp(t *testing.T, d *DB) {
	t.Helper()
	if _, err := os.Lstat(compactName(d.path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
}

// TestCompactFails: after a failed compaction the store continues unchanged.
func TestCompactFails(t *testing.T) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for name, compact := range map[string]func(d *DB) error{
		"it is stopped before": func(d *DB) error { _, err := d.Compact(stopped); return err },
		"it is stopped while it copies": func(d *DB) error {
			d.writer.Lock()
			defer d.writer.Unlock()
			_, err := d.copyTo(stopped, compactName(d.path), 1<<20)
			return errors.Join(err, os.Remove(compactName(d.path)))
		},
		"the copy can't be renamed": func(d *DB) error {
			d.writer.Lock()
			defer d.writer.Unlock()
			return d.replaceBy(compactName(d.path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := full(t)
			before := content(t, d)
			if err := compact(d); err == nil {
				t.Error("it did not fail")
			}
			if got := content(t, d); got != before {
				t.Error("its content has changed")
			}
			wantNoTemp(t, d)
			if err := put(d, "x"); err != nil {
				t.Error(err)
			}
			checkFile(t, d)
		})
	}
}

// TestCompactBroken: a commit failed and the file couldn't be opened again; a compaction opens it.
func TestCompactBroken(t *testing.T) {
	d := full(t)
	before := content(t, d)
	d.broken = true // as revert leaves it
	done, err := d.Compact(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if done.After > done.Before/2 {
		t.Errorf("%d of %d bytes remain", done.After, done.Before)
	}
	if got := content(t, d); got != before {
		t.Error("its content has changed")
	}
}
