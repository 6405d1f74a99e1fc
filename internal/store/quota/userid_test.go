package quota

import "testing"

// A user id is counted like a phone number, and never equals one.
func TestUserIDIsNotCounted(t *testing.T) {
	seen := map[uint64]string{}
	for _, contact := range []string{"34666000111", "034666000111", "999999999999999", "US.13491208655302741918", "US.13491208655302741919", "US.ENT.118"} {
		n, err := number([]byte(contact))
		if err != nil {
			t.Fatalf("%s: %v", contact, err)
		}
		if other, twice := seen[n]; twice {
			t.Errorf("%s has the number of %s", contact, other)
		}
		seen[n] = contact
	}
	if _, err := number(nil); err == nil {
		t.Error("got no error for an empty contact")
	}
}
