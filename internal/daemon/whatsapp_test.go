package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/send/whatsapp"
	"campaignd/internal/store"
)

// storeOnly returns a daemon with nothing but a store.
func storeOnly(t *testing.T) *Daemon {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &Daemon{store: s}
}

func TestDailyContactsAreSharedByANumber(t *testing.T) {
	d := storeOnly(t)
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

// TestRefusalsAreSharedByANumber: channels with the same number share refusals, separately for each template.
func TestRefusalsAreSharedByANumber(t *testing.T) {
	d := storeOnly(t)
	if got := d.numberStore(config.Channel{Driver: "webhook"}); got != (numberStore{}) {
		t.Errorf("a webhook keeps %+v", got)
	}
	of := func(number string) whatsapp.Refusals {
		return d.numberStore(config.Channel{Driver: "whatsapp", PhoneNumberID: number}).refusals
	}
	at, contact := time.Now(), []byte("34600000001")
	if err := of("1").Refuse(contact, []byte("welcome"), at); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		number, contact, template string
		after                     time.Duration
		want                      bool
	}{
		{"1", "34600000001", "welcome", 0, true},
		{"1", "34600000001", "welcome", 23 * time.Hour, true},
		{"1", "34600000001", "welcome", 25 * time.Hour, false},
		{"1", "34600000001", "other", 0, false},
		{"1", "34600000002", "welcome", 0, false},
		{"2", "34600000001", "welcome", 0, false},
	} {
		if got, err := of(x.number).Refused([]byte(x.contact), []byte(x.template), at.Add(x.after)); got != x.want || err != nil {
			t.Errorf("%+v: %v, %v", x, got, err)
		}
	}
}
