package store

import (
	"testing"

	"campaignd/internal/campaign"
)

func TestAnOlderCopyIsRecognizedByAttemptsThatItLacks(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 2*campaign.ChunkRows + 10, messages: 2}, nil)
	last := 2*campaign.ChunkRows + 9
	commit(t, s, entry(head.ID, last, 1, campaign.InFlight, 1))
	commit(t, s, entry(head.ID, last, 1, campaign.Sent, 1))
	resent := entry(head.ID, 5, 1, campaign.Pending, 0)
	resent.MaybeDelivered = true
	commit(t, s, entry(head.ID, 5, 1, campaign.InFlight, 1))
	commit(t, s, resent)
	head, err := s.Header(head.ID)
	if err != nil {
		t.Fatal(err)
	}
	key := func(row, message int) string { return campaign.Key(head.ID, head.Tag, uint32(row+2), message) }
	later := campaign.NewID(head.ReceivedAt, head.ID.Number()+1)
	for _, test := range []struct {
		what   string
		key    string
		number int
		lacks  bool
	}{
		{"recorded", key(last, 1), 1, false},
		{"a later attempt", key(last, 1), 2, true},
		{"never attempted", key(0, 1), 1, true},
		{"never attempted, second chunk", key(campaign.ChunkRows, 1), 1, true},
		{"never attempted, last message", key(last, 2), 1, true},
		{"known to be delivered perhaps", key(5, 1), 1, false},
		{"no row at the line", campaign.Key(head.ID, head.Tag, 1, 1), 1, false},
		{"beyond the last row", campaign.Key(head.ID, head.Tag, uint32(last+100), 1), 1, false},
		{"another store's", campaign.Key(head.ID, "00000000", 2, 1), 1, false},
		{"of a later sending", campaign.Key(later, s.Tag(), 2, 1), 1, true},
		{"of another store's later sending", campaign.Key(later, "00000000", 2, 1), 1, false},
		{"no key", "hello", 1, false},
	} {
		got, err := s.Unrecorded([]Attempt{{key(last, 1), 1}, {test.key, test.number}})
		want := ""
		if test.lacks {
			want = test.key
		}
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", test.what, got, want)
		}
	}
}
