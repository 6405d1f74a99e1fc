package store

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAudit(t *testing.T) {
	s := openTest(t)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2500 {
		if err := s.Audit(AuditEntry{At: start.Add(time.Duration(i/2) * time.Second), Who: "ana", Action: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	next := 2000
	err := s.EachAudit(start.Add(1000*time.Second), func(e AuditEntry) error {
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
