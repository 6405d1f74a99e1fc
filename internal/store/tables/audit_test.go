package tables

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"campaignd/internal/store/db"
)

func TestAudit(t *testing.T) {
	first := func(t *bbolt.Tx) error { _, err := t.CreateBucket(bucketAudit); return err }
	file, err := db.Open(filepath.Join(t.TempDir(), "tables.db"), db.Options{NoSync: true, InitialMmapSize: 1 << 20},
		db.Schema{Numbered: bucketAudit, Migrations: []func(*bbolt.Tx) error{first}})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := Open(file)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2500 {
		if err := s.Audit(AuditEntry{At: start.Add(time.Duration(i/2) * time.Second), Who: "ana", Action: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	next := 2000
	err = s.EachAudit(start.Add(1000*time.Second), func(e AuditEntry) error {
		if e.Action != fmt.Sprint(next) {
			t.Fatalf("got %s, want %d", e.Action, next)
		}
		next++
		return nil
	})
	if err != nil || next != 2500 {
		t.Errorf("%d, %v", next, err)
	}
	if err := s.Audit(AuditEntry{Who: "ana", Action: "now"}); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := s.EachAudit(time.Time{}, func(AuditEntry) error { return stop }); err != stop {
		t.Errorf("walk: %v", err)
	}
}
