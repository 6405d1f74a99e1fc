package store

import (
	"testing"
	"time"
)

// A learned user id survives a restart, is found by its id, follows a new number, and is forgotten when
// it wasn't seen for long.
func TestUserIDIsForgotten(t *testing.T) {
	s := openTest(t)
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	want := func(id, contact string) {
		t.Helper()
		if got, err := s.ContactOfUserID(id); err != nil || got != contact {
			t.Errorf("got %q, %v for %s; want %q", got, err, id, contact)
		}
	}
	want("US.1", "")
	if n, err := s.ForgetUserIDs(now); n != 0 || err != nil {
		t.Errorf("got %d, %v from a store without any; want 0", n, err)
	}
	for id, contact := range map[string]string{"US.1": "+15550000001", "ES.1": "+34666000111"} {
		if err := s.LearnUserID(id, contact, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.LearnUserID("US.1", "+15550000002", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	want("US.1", "+15550000002")
	want("ES.1", "+34666000111")
	if n, err := s.ForgetUserIDs(now.Add(time.Minute)); n != 1 || err != nil {
		t.Errorf("forgot %d, %v; want 1", n, err)
	}
	want("ES.1", "")
	want("US.1", "+15550000002")
}
