package optout

import (
	"testing"
	"time"
)

// A learned user id survives a restart, is found by its id, follows a new number, and is forgotten when
// it wasn't seen for long.
func TestUserIDIsForgotten(t *testing.T) {
	o := openTest(t)
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	want := func(id, contact string) {
		t.Helper()
		if got, err := o.ContactOfUserID(id); err != nil || got != contact {
			t.Errorf("got %q, %v for %s; want %q", got, err, id, contact)
		}
	}
	want("US.1", "")
	if n, err := o.ForgetUserIDs(now); n != 0 || err != nil {
		t.Errorf("got %d, %v from a store without any; want 0", n, err)
	}
	for id, contact := range map[string]string{"US.1": "+15550000001", "ES.1": "+34666000111"} {
		if err := o.LearnUserID(id, contact, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.LearnUserID("US.1", "+15550000002", now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	want("US.1", "+15550000002")
	want("ES.1", "+34666000111")
	if n, err := o.ForgetUserIDs(now.Add(time.Minute)); n != 1 || err != nil {
		t.Errorf("forgot %d, %v; want 1", n, err)
	}
	want("ES.1", "")
	want("US.1", "+15550000002")
}

// optedOutNames returns which of the names of channel cloud_api are opted out.
func optedOutNames(t *testing.T, o *Table, names ...string) (out []string) {
	t.Helper()
	for _, name := range names {
		found, err := o.OptedOut(1, "cloud_api", []byte(name))
		if err != nil {
			t.Fatal(err)
		}
		if found {
			out = append(out, name)
		}
	}
	return out
}

// An opt-out by number counts for the user id and the reverse, whichever of opt-out and pair comes first; it
// outlives the pair, and is removed under both names.
func TestOptOutCountsForOneNameOnly(t *testing.T) {
	names := []string{"+34600000001", "ES.1", "+34600000002", "ES.2", "+34600000003", "ES.3", "+34600000004", "ES.4"}
	o := openTest(t)
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	learn := func(n int) {
		if err := o.LearnUserID(names[2*n+1], names[2*n], at); err != nil {
			t.Fatal(err)
		}
	}
	learn(0)
	learn(1)
	added, err := o.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: "34 600 000 001"}, {ApplicationID: 1, ChannelType: "cloud_api", ContactCode: "ES.2"},
		{ApplicationID: 1, ContactCode: "34600000003"}, {ApplicationID: 1, ChannelType: "cloud_api", ContactCode: "ES.4"}})
	if added != 4 || err != nil {
		t.Errorf("%d added, %v; want 4: the other names don't count", added, err)
	}
	learn(2)
	learn(3)
	if _, err := o.ForgetUserIDs(at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := optedOutNames(t, o, names...); len(got) != len(names) {
		t.Errorf("opted out are %v, want all of %v", got, names)
	}
	if got := optedOutNames(t, o, "+34600000005", "ES.5"); got != nil {
		t.Errorf("opted out are %v", got)
	}
	learn(0)
	if found, err := o.RemoveOptOut(1, "", "ES.1"); !found || err != nil {
		t.Errorf("removed %v, %v", found, err)
	}
	if got := optedOutNames(t, o, names[:2]...); got != nil {
		t.Errorf("opted out are %v after the removal", got)
	}
	if err := o.SamePerson("+34600000003", "+34600000009"); err != nil {
		t.Fatal(err)
	}
	if got := optedOutNames(t, o, "+34600000009"); got == nil {
		t.Error("the new number gets messages")
	}
	if found := problems(t, o); len(found) > 0 {
		t.Error(found)
	}
}

// Who was forgotten by number is suppressed by user id too, and no pair is stored again.
func TestForgottenPairIsLearnedAgain(t *testing.T) {
	o := openTest(t)
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	if err := o.LearnUserID("ES.1", "+34600000001", at); err != nil {
		t.Fatal(err)
	}
	names, err := o.NamesOf("34600000001")
	if err != nil || len(names) != 2 {
		t.Fatalf("names %v, %v", names, err)
	}
	for _, name := range names {
		forget(t, o, name, Place{1, "cloud_api"})
	}
	for _, pair := range [][2]string{{"ES.1", "+34600000001"}, {"ES.2", "+34600000001"}} {
		if err := o.LearnUserID(pair[0], pair[1], at.Add(48*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if known, err := o.ContactOfUserID(pair[0]); known != "" || err != nil {
			t.Errorf("%s is stored with %q, %v", pair[0], known, err)
		}
	}
	if got := optedOutNames(t, o, "+34600000001", "ES.1", "ES.2"); len(got) != 3 {
		t.Errorf("suppressed are %v, want all 3", got)
	}
}
