package check

import (
	"testing"

	"campaignd/internal/contact"
)

func TestColumnsFitKindsOfContact(t *testing.T) {
	for _, c := range []struct {
		column string
		kind   contact.Kind
		want   bool
	}{
		{"contactCode", contact.Phone, true}, {"contactCode", contact.Email, true}, {"phone", contact.Any, true}, {"email", contact.Any, true},
		{"Email", contact.Phone, false}, {"correo", contact.Digits, false}, {"PHONE", contact.Email, false}, {"Teléfono", contact.Email, false},
		{"Teléfono", contact.Phone, true}, {"e-mail", contact.Email, true}, {"msisdn", contact.Digits, true}, {"id", contact.Email, true},
	} {
		if got := fitsKind(c.column, c.kind); got != c.want {
			t.Errorf("%s for %s: %v, want %v", c.column, c.kind, got, c.want)
		}
	}
}
