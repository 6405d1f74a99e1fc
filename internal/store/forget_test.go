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
	if err := s.AddReplies([]NewReply{{Reply: Reply{ID: "r", ContactCode: number, Text: "who is " + number, At: now()}, Places: []Place{{1, "cloud_api"}}}}); err != nil {
		t.Fatal(err)
	}
	allow(t, s.Contacts("phone", 5), number, now(), true)

	places := []Place{{1, "cloud_api"}}
	got, err := s.Forget(t.Context(), "+34 600-000-003", places)
	if err != nil || got.InFlight != 1 || got.Suppressed != 0 || got.Unknown != 1 || len(got.Sendings) != 4 {
		t.Errorf("first %+v, %v", got, err)
	}
	result := entry(open.ID, 3, 1, campaign.Sent, 1)
	result.Provider = "wamid.of." + number
	commit(t, s, result)
	got, err = s.Forget(t.Context(), "+34 600-000-003", places)
	if err != nil || got.InFlight != 0 || got.Suppressed != 1 || got.Unknown != 0 || len(got.Sendings) != 1 {
		t.Errorf("second %+v, %v", got, err)
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
	s = openAt(t, s.path)
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"store": file, "backup": copied.Bytes()} {
		if bytes.Contains(data, []byte(number)) || bytes.Contains(data, []byte("600 000 003")) {
			t.Errorf("the %s contains the number", name)
		}
	}
	for _, id := range []campaign.ID{done.ID, open.ID, maybe.ID} { // packed columns hide it from a search of bytes
		if err := s.EachChunk(id, func(rows *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
			if string(rows.Contacts.At(3)) != "" || string(rows.Values[0].At(3)) != "" || string(rows.Contacts.At(4)) != "34600000004" || rows.Lines[3] != 5 {
				t.Errorf("row 3 of %s is %q, %q; row 4 %q", id, rows.Contacts.At(3), rows.Values[0].At(3), rows.Contacts.At(4))
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
