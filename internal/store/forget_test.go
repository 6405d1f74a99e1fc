package store

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// TestForget: a forgotten contact is nowhere in the store's file or a backup, its messages ended,
// its rows keep their lines, and it stays suppressed, in every spelling and after a restart.
func TestForget(t *testing.T) {
	const number = "34600000003"
	s := openTest(t)
	done := receipts(t, s)
	open := accept(t, s, draft{rows: 6, messages: 2}, nil)
	commit(t, s, entry(open.ID, 3, 1, campaign.InFlight, 1))
	maybe := accept(t, s, draft{rows: 6}, nil)
	attempted(t, s, maybe.ID, 3, 1, campaign.Retrying, true)
	refused := begin(t, s, draft{rows: 1})
	if err := s.AppendRefusals(refused.ID, []campaign.Refusal{{Line: 9, Outcome: campaign.Duplicate, ContactCode: "+" + number, ChannelType: "cloud_api"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Refuse(refused, campaign.StateRejected, "bad rows"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: "+34 600 000 003"}, {ApplicationID: 1, ContactCode: "34600000004"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddReplies([]NewReply{{Reply: Reply{ID: "r", ContactCode: number, Text: "who is " + number, At: now()}, Places: []Place{{Application: 1, ChannelType: "cloud_api"}}}}); err != nil {
		t.Fatal(err)
	}
	if ok, _, err := s.Contacts("phone", 5).Allow([]byte(number), now()); !ok || err != nil {
		t.Fatalf("count the contact: %t, %v", ok, err)
	}

	places := []Place{{Application: 1, ChannelType: "cloud_api"}}
	got, err := s.Forget(t.Context(), "+34 600-000-003", places)
	switch {
	case err != nil:
		t.Error(err)
	case got.InFlight != 1:
		t.Errorf("got.InFlight: got %v, want 1", got.InFlight)
	case got.Suppressed != 0:
		t.Errorf("got.Suppressed: got %v, want 0", got.Suppressed)
	case got.Unknown != 1:
		t.Errorf("got.Unknown: got %v, want 1", got.Unknown)
	case len(got.Sendings) != 4:
		t.Errorf("len(got.Sendings): got %v, want 4: %+v", len(got.Sendings), got.Sendings)
	}
	result := entry(open.ID, 3, 1, campaign.Sent, 1)
	result.Provider = "wamid.of." + number
	commit(t, s, result)
	got, err = s.Forget(t.Context(), "+34 600-000-003", places)
	switch {
	case err != nil:
		t.Error(err)
	case got.InFlight != 0:
		t.Errorf("got.InFlight: got %v, want 0", got.InFlight)
	case got.Suppressed != 1:
		t.Errorf("got.Suppressed: got %v, want 1", got.Suppressed)
	case got.Unknown != 0:
		t.Errorf("got.Unknown: got %v, want 0", got.Unknown)
	case len(got.Sendings) != 1:
		t.Errorf("len(got.Sendings): got %v, want 1: %+v", len(got.Sendings), got.Sendings)
	}
	wantCounts(t, s, open.ID, map[campaign.Outcome]uint64{campaign.Sent: 1, campaign.Suppressed: 1, campaign.Pending: 10})
	wantCounts(t, s, maybe.ID, map[campaign.Outcome]uint64{campaign.Unknown: 1, campaign.Pending: 5})
	verify(t, s)
	if _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	if err := s.Backup(&copied); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openAt(t, s.db.Path())
	file, err := os.ReadFile(s.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"store": file, "backup": copied.Bytes()} {
		if bytes.Contains(data, []byte(number)) {
			t.Errorf("%q: data = %q, want no %q in it", name, data, []byte(number))
		}
		if bytes.Contains(data, []byte("600 000 003")) {
			t.Errorf("%q: data = %q, want no %q in it", name, data, []byte("600 000 003"))
		}
	}
	for _, id := range []campaign.ID{done.ID, open.ID, maybe.ID} { // packed columns hide it from a search of bytes
		if err := s.EachChunk(id, func(rows *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
			switch {
			case string(rows.Contacts.At(3)) != "":
				t.Errorf("%s: rows.Contacts.At(3): got %q, want none", id, string(rows.Contacts.At(3)))
			case string(rows.Values[0].At(3)) != "":
				t.Errorf("%s: rows.Values[0].At(3): got %q, want none", id, string(rows.Values[0].At(3)))
			case string(rows.Contacts.At(4)) != "34600000004":
				t.Errorf(`%s: rows.Contacts.At(4): got %q, want "34600000004"`, id, string(rows.Contacts.At(4)))
			case rows.Lines[3] != 5:
				t.Errorf("%s: rows.Lines[3]: got %v, want 5", id, rows.Lines[3])
			}
			for _, e := range entries {
				if e.Row == 3 && e.Provider != "" {
					t.Errorf("a provider's id of %s remains: %q", id, e.Provider)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	for contact, want := range map[string]bool{number: true, "+34 600 000 003": true, "34600000004": true, "34600000005": false, "": true} {
		if out, err := s.OptedOut(1, "cloud_api", []byte(contact)); out != want || err != nil {
			t.Errorf("%q suppressed %t, want %t, %v", contact, out, want, err)
		}
	}
	if err := s.EachOptOut(0, func(o OptOut) error {
		if strings.Contains(o.ContactCode, "003") {
			t.Errorf("an opt-out remains: %+v", o)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	verify(t, s)
}
