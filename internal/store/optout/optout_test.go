package optout

import (
	"fmt"
	"slices"
	"testing"
)

// TestOptOutsCountUntilRemoved: opt-outs match exactly, by channel or for all, and survive a restart.
func TestOptOutsCountUntilRemoved(t *testing.T) {
	o := openTest(t)
	check := func(application int64, channel, contact string, want bool) {
		t.Helper()
		if got, err := o.OptedOut(application, channel, []byte(contact)); got != want || err != nil {
			t.Errorf("suppressed(%d, %q, %q): %t, %v", application, channel, contact, got, err)
		}
	}
	check(1, "sms", "346", false)
	long := fmt.Sprintf("%01000d", 7)
	list := []OptOut{{ApplicationID: 1, ChannelType: "sms", ContactCode: "346"}, {ApplicationID: 1, ContactCode: "347", Source: "a.suppress.csv"},
		{ApplicationID: 2, ContactCode: long}, {ApplicationID: 1, ChannelType: "sms", ContactCode: "346"}}
	if n, err := o.AddOptOuts(list); n != 3 || err != nil {
		t.Errorf("added %d, %v", n, err)
	}
	o.db.Close()
	o = openAt(t, o.db.Path())
	check(1, "sms", "346", true)
	check(1, "email", "346", false)
	check(2, "sms", "346", false)
	check(1, "sms", "34", false)
	check(1, "email", "347", true)
	check(1, "", "347", true)
	check(2, "x", long, true)
	check(2, "x", long[1:], false)
	var got []string
	walk := func(one OptOut) error {
		if one.At.IsZero() {
			t.Error("no time")
		}
		got = append(got, one.ChannelType+"/"+one.ContactCode)
		return nil
	}
	if err := o.EachOptOut(1, walk); err != nil || !slices.Equal(got, []string{"/347", "sms/346"}) {
		t.Errorf("walk: %v, %v", got, err)
	}
	got = nil
	if err := o.EachOptOut(0, walk); err != nil || len(got) != 3 {
		t.Errorf("walk over all: %v, %v", got, err)
	}
	if found, err := o.RemoveOptOut(1, "sms", "346"); !found || err != nil {
		t.Errorf("remove: %t, %v", found, err)
	}
	if found, err := o.RemoveOptOut(1, "sms", "346"); found || err != nil {
		t.Errorf("remove again: %t, %v", found, err)
	}
	check(1, "sms", "346", false)
}
