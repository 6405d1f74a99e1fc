package campaign

import (
	"testing"
	"time"
)

func TestParseKey(t *testing.T) {
	id := NewID(time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), 7)
	key := Key(id, "9f3c01ab", 42, 3)
	switch gotID, tag, line, n, ok := ParseKey(key); {
	case gotID != id:
		t.Errorf("%q: gotID: got %v, want %v", key, gotID, id)
	case tag != "9f3c01ab":
		t.Errorf(`%q: tag: got %q, want "9f3c01ab"`, key, tag)
	case line != 42:
		t.Errorf("%q: line: got %v, want 42", key, line)
	case n != 3:
		t.Errorf("%q: n: got %v, want 3", key, n)
	case !ok:
		t.Errorf("%q: ok: got false, want true", key)
	}
	for _, other := range []string{"", "x", "20260304-000007-42-3", "20260304-7-42-3-9f3c01ab", "20260304-000007-42-6-9f3c01ab", "20260304-000007-42-0-9f3c01ab",
		"20260304-000007-042-3-9f3c01ab", "20260304-000007-42-+3-9f3c01ab", "20260304-000007-4294967296-3-9f3c01ab", "99999999-000007-42-3-9f3c01ab",
		"20260304-000007-42-3-9f3c01ab-x"} {
		switch id, _, _, _, ok := ParseKey(other); {
		case ok:
			t.Errorf("%q is taken for a key", other)
		case id != "":
			t.Errorf("%q: id = %q, want none", other, id)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("20260304-000007-42-3-9f3c01ab")
	f.Add("20260304-000007-4 2-3-9f3c01ab")
	f.Fuzz(func(t *testing.T, key string) {
		if id, tag, line, n, ok := ParseKey(key); ok && Key(id, tag, line, n) != key {
			t.Errorf("%q is %s %s %d %d", key, id, tag, line, n)
		}
	})
}

func TestContactKey(t *testing.T) {
	for contact, want := range map[string]string{
		"34666777888": "34666777888", "+34 666 777 888": "34666777888", "(34) 666-777.888": "34666777888", "[34]666777888": "34666777888",
		"Ann@Example.COM": "ann@example.com", "ann@example.com": "ann@example.com", "ÁNN@example.com": "Ánn@example.com",
		"A-123": "A-123", "12-34": "12-34", "1234567890123456": "1234567890123456", "1234 5678 9012 3456": "1234 5678 9012 3456", "": "", "spring-3": "spring-3",
	} {
		if got := string(ContactKey([]byte("x"), []byte(contact))); got != "x"+want {
			t.Errorf("%q is %q, want %q", contact, got[1:], want)
		}
	}
}

func TestDeliveryStates(t *testing.T) {
	var c DeliveryCounts
	for d := NoReceipt; d <= Read; d++ {
		got, ok := ParseDelivery(d.String())
		if got != d {
			t.Errorf("parsing %q: got %q, want the same", d, got)
		}
		if want := d != NoReceipt; ok != want {
			t.Errorf("parsing %q: got %t, want %t", d, ok, want)
		}
		if counted := c.Of(d) != nil; counted != ok {
			t.Errorf("%q has a count: got %t, want %t", d, counted, ok)
		}
	}
	switch _, ok := ParseDelivery("sent"); {
	case ok:
		t.Error("what is no state has a name")
	case DeliveryState(9).String() != "delivery(9)":
		t.Errorf("what is no state has a name: DeliveryState(9) = %q, want \"delivery(9)\"", DeliveryState(9).String())
	}
}
