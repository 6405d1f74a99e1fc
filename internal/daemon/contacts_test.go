package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/store"
)

func TestDailyContactsAreSharedByANumber(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d := &Daemon{store: s}
	if d.quota(config.Channel{PhoneNumberID: "1"}) != nil {
		t.Error("there is a quota without daily_contacts")
	}
	one := d.quota(config.Channel{PhoneNumberID: "1", DailyContacts: 1})
	same := d.quota(config.Channel{PhoneNumberID: "1", DailyContacts: 1})
	other := d.quota(config.Channel{PhoneNumberID: "2", DailyContacts: 1})
	at := time.Now()
	if ok, _, err := one.Allow([]byte("34600000001"), at); !ok || err != nil {
		t.Errorf("the first: %v, %v", ok, err)
	}
	if ok, next, err := same.Allow([]byte("34600000002"), at); ok || err != nil || !next.After(at.Add(23*time.Hour)) {
		t.Errorf("the second: %v, %v, %v", ok, next, err)
	}
	if ok, _, err := other.Allow([]byte("34600000002"), at); !ok || err != nil {
		t.Errorf("another number's: %v, %v", ok, err)
	}
}
