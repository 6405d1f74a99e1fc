package daemon

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/store"
)

// TestContactCountersShareACountByName: the count belongs to the name, whoever asks.
func TestContactCountersShareACountByName(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d := &Daemon{store: s}
	one, same, other := d.contactCounters("x/1", 1), d.contactCounters("x/1", 1), d.contactCounters("x/2", math.MaxInt)
	at := time.Now()
	if ok, _, err := one.Allow([]byte("34600000001"), at); !ok || err != nil {
		t.Errorf("the first: %v, %v", ok, err)
	}
	switch ok, next, err := same.Allow([]byte("34600000002"), at); {
	case ok:
		t.Errorf("the second: %v, %v, %v", ok, next, err)
	case err != nil:
		t.Errorf("the second: %v", err)
	case !next.After(at.Add(23 * time.Hour)):
		t.Errorf("the second: next = %v, want later than %v", next, at.Add(23*time.Hour))
	}
	if ok, _, err := other.Allow([]byte("34600000002"), at); !ok || err != nil {
		t.Errorf("another name's: %v, %v", ok, err)
	}
	if counts, err := same.Counts([]byte("34600000001"), at); !counts || err != nil {
		t.Errorf("the first is counted: %v, %v", counts, err)
	}
}
