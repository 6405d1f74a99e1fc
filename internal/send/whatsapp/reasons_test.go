package whatsapp

import (
	"strings"
	"testing"
)

func TestReasonsCountOne(t *testing.T) {
	for digits, want := range []string{"has 0 digits", "has 1 digit:", "has 2 digits"} {
		_, err := newRecipient([]byte(strings.Repeat("3", digits)))
		if !strings.Contains(errorText(err), want) {
			t.Errorf("got %q, want %q in it", errorText(err), want)
		}
	}
	for count, want := range []string{"the campaign's body has 0 parameters, the template's 3", "the campaign's body has 1 parameter, the", "the campaign's body has 2 parameters, the"} {
		c := &component{Parameters: make([]map[string]any, count)}
		if got := compareParameters("body", c, []string{"1", "2", "3"}, false); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}
