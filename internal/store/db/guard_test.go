package db

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestCutUnseen: a file is truncated while open and the size check misses it. The missing page ends
// the store with an explanation, not the process.
func TestCutUnseen(t *testing.T) {
	for name, keep := range map[string]int64{"to nothing": 0, "to the meta pages": 8192} {
		t.Run(name, func(t *testing.T) {
			d := openTest(t)
			fill(t, d, 9000)
			if err := os.Truncate(d.path, keep); err != nil {
				t.Fatal(err)
			}
			d.guard.least.Store(0)
			err := d.View(func(t *Tx) error { return t.Bucket(rows).ForEach(func(_, _ []byte) error { return nil }) })
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("got %v, want ErrDamaged", err)
			}
			for _, want := range []string{"cut off", "restore a backup"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			select {
			case <-d.Ended():
			default:
				t.Fatal("Ended is not closed")
			}
			if err := put(d, "x"); !errors.Is(err, d.Err()) {
				t.Errorf("write: %v, want %v", err, d.Err())
			}
			deep := d.View(func(t *Tx) error {
				for err := range t.Check() {
					return err
				}
				return nil
			})
			if deep == nil || deep != d.Err() {
				t.Errorf("a deep check: got %v, want %v", deep, d.Err())
			}
			if err := d.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if info, err := os.Stat(d.path); err != nil || info.Size() != keep {
				t.Errorf("it was written to: %d bytes, %v", info.Size(), err)
			}
			if _, err := open(d.path); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "restore a backup") {
				t.Errorf("opened again: got %v, want %v with advice", err, ErrDamaged)
			}
		})
	}
}

// TestCutInWrite: a write detects the truncated file too.
func TestCutInWrite(t *testing.T) {
	d := openTest(t)
	fill(t, d, 9000)
	if err := os.Truncate(d.path, 8192); err != nil {
		t.Fatal(err)
	}
	d.guard.least.Store(0)
	if err := put(d, "x"); !errors.Is(err, ErrDamaged) {
		t.Errorf("write: %v", err)
	}
	if d.Err() == nil {
		t.Error("it goes on")
	}
}

// TestMovedAndBroken: a commit fails while the file is away; no new, empty store is made in its place.
func TestMovedAndBroken(t *testing.T) {
	d := openTest(t)
	fill(t, d, 10)
	if err := os.Rename(d.path, d.path+".away"); err != nil {
		t.Fatal(err)
	}
	d.broken = true
	if err := put(d, "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("write: %v", err)
	}
	if _, err := os.Stat(d.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something stands in its place: %v", err)
	}
	if err := os.Rename(d.path+".away", d.path); err != nil {
		t.Fatal(err)
	}
	if err := put(d, "x"); err != nil {
		t.Error(err)
	}
	checkFile(t, d)
}
