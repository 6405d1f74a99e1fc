package whatsapp

import (
	"slices"
	"testing"
	"time"

	"campaignd/internal/config"
)

// counters is a store of counters without limits, by name and contact.
type counters map[string][]string

func (c counters) of(name string, _ int) config.ContactCounter { return counter{c, name} }

type counter struct {
	all  counters
	name string
}

func (c counter) Allow(contact []byte, _ time.Time) (bool, time.Time, error) {
	c.all[c.name] = append(c.all[c.name], string(contact))
	return true, time.Time{}, nil
}

func (c counter) Counts(contact []byte, _ time.Time) (bool, error) {
	return slices.Contains(c.all[c.name], string(contact)), nil
}

func openWith(t *testing.T, s *Settings, stored counters) *Channel {
	t.Helper()
	env := config.Environment{Secret: func(string) (string, error) { return "token", nil }, Contacts: stored.of}
	c, err := s.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*Channel)
}

// TestStoredCountsBelongToTheNumber: the names are in stores that exist; another name would forget their counts.
func TestStoredCountsBelongToTheNumber(t *testing.T) {
	stored := counters{}
	c := openWith(t, &Settings{Options: Options{PhoneNumberID: "7"}, DailyContacts: 3}, stored)
	if _, _, err := c.quota.Allow([]byte("34600000001"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(stored["whatsapp/7"], []string{"34600000001"}) {
		t.Errorf("got %v, want the contact under whatsapp/7", stored)
	}
	if err := c.refused.add([]byte("34600000002"), []byte("welcome"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(stored["whatsapp/7/refused/welcome"], []string{"34600000002"}) {
		t.Errorf("got %v, want the contact under whatsapp/7/refused/welcome", stored)
	}
	for template, want := range map[string]bool{"welcome": true, "other": false} {
		if got, err := c.refused.durable(template).Counts([]byte("34600000002"), time.Now()); got != want || err != nil {
			t.Errorf("template %s: got %v, %v, want %v", template, got, err, want)
		}
	}
}

func TestNoQuotaWithoutDailyContacts(t *testing.T) {
	if c := openWith(t, &Settings{Options: Options{PhoneNumberID: "7"}}, counters{}); c.quota != nil {
		t.Error("there is a quota")
	}
}
