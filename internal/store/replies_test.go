package store

import (
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// TestRepliesFindTheirSending: a reply belongs to the message that it quotes, else to the newest
// sending to its contact, in any spelling; one to nobody is deleted, and all go with their sending.
func TestRepliesFindTheirSending(t *testing.T) {
	s := openTest(t)
	first, second := isOver(t, s, draft{rows: 3}), isOver(t, s, draft{rows: 2})
	at := now()
	places := []Place{{1, "cloud_api"}, {2, "cloud_api"}}
	for _, r := range []Reply{
		{ID: "a", ContactCode: "+34 600 000 001", Text: "yes", Type: "text"},
		{ID: "b", ContactCode: "34600000002", Text: "only the first sending has it", Type: "text"},
		{ID: "c", ContactCode: "34699999999", Type: "text"},
		{ID: "d", ContactCode: "34600000001", Type: "text", At: at.Add(-time.Hour)}, // before anything was sent
	} {
		if r.At.IsZero() {
			r.At = at
		}
		for range 2 { // a provider repeats itself
			if err := s.AddReply(r, places); err != nil {
				t.Fatal(err)
			}
		}
	}
	if matched, left, err := s.MatchReplies(time.Unix(0, 0)); matched != 2 || left != 2 || err != nil {
		t.Errorf("%d matched, %d left, %v", matched, left, err)
	}
	replies := func(id campaign.ID) (list []Reply) {
		if err := s.EachReply(id, func(r Reply) error { list = append(list, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got := replies(second); len(got) != 1 || got[0].Text != "yes" || got[0].Line != 3 || got[0].ContactCode != "34600000001" {
		t.Errorf("replies to the newest %+v", got)
	}
	if got := replies(first); len(got) != 1 || got[0].ID != "b" || got[0].Line != 4 {
		t.Errorf("replies to the first %+v", got)
	}
	stale, err := s.StaleReports()
	if len(stale) != 2 || err != nil {
		t.Errorf("stale reports %v, %v", stale, err)
	}
	if matched, left, err := s.MatchReplies(now().Add(time.Second)); matched != 0 || left != 0 || err != nil {
		t.Errorf("%d matched, %d left, %v", matched, left, err)
	}
	verify(t, s)
	if _, err := s.Remove(second); err != nil {
		t.Fatal(err)
	}
	if got := replies(second); len(got) != 0 {
		t.Errorf("replies without their sending %+v", got)
	}
}

// TestQuotedMessageWins: a reply that quotes a message of an older sending belongs to that one.
func TestQuotedMessageWins(t *testing.T) {
	s := openTest(t)
	first := receipts(t, s)
	isOver(t, s, draft{rows: 10})
	if err := s.AddReply(Reply{ID: "a", ContactCode: "34600000003", At: now(), Quoted: "wamid.3"}, []Place{{1, "cloud_api"}}); err != nil {
		t.Fatal(err)
	}
	if matched, _, err := s.MatchReplies(time.Unix(0, 0)); matched != 1 || err != nil {
		t.Errorf("%d matched, %v", matched, err)
	}
	n := 0
	if err := s.EachReply(first.ID, func(r Reply) error { n++; return nil }); n != 1 || err != nil {
		t.Errorf("%d replies, %v", n, err)
	}
}
