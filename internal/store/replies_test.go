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
	places := []Place{{Application: 1, ChannelType: "cloud_api"}, {Application: 2, ChannelType: "cloud_api"}}
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
			if err := s.AddReplies([]NewReply{{Reply: r, Places: places}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	match := func(settled time.Time, want MatchedReplies) {
		t.Helper()
		if got, err := s.MatchReplies(settled); got != want || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	match(time.Unix(0, 0), MatchedReplies{Matched: 2, Left: 2})
	replies := func(id campaign.ID) (list []Reply) {
		if err := s.EachReply(id, func(r Reply) error { list = append(list, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return list
	}
	switch got := replies(second); {
	case len(got) != 1:
		t.Errorf("len(got): got %v, want 1: %+v", len(got), got)
	case got[0].Text != "yes":
		t.Errorf(`got[0].Text: got %q, want "yes"`, got[0].Text)
	case got[0].Line != 3:
		t.Errorf("got[0].Line: got %v, want 3", got[0].Line)
	case got[0].ContactCode != "34600000001":
		t.Errorf(`got[0].ContactCode: got %q, want "34600000001"`, got[0].ContactCode)
	}
	switch got := replies(first); {
	case len(got) != 1:
		t.Errorf("len(got) = %v, want 1: %+v", len(got), got)
	case got[0].ID != "b":
		t.Errorf("got[0].ID = %q, want \"b\"", got[0].ID)
	case got[0].Line != 4:
		t.Errorf("got[0].Line = %v, want 4", got[0].Line)
	}
	stale, err := s.StaleReports()
	if len(stale) != 2 || err != nil {
		t.Errorf("stale reports %v, %v", stale, err)
	}
	match(now().Add(time.Second), MatchedReplies{Unmatched: 2})
	switch deleted, since, waiting, err := s.UnmatchedReplies(); {
	case deleted != 2:
		t.Errorf("deleted: got %v, want 2", deleted)
	case since.IsZero():
		t.Error("since: got none")
	case waiting != 0:
		t.Errorf("waiting: got %v, want 0", waiting)
	case err != nil:
		t.Error(err)
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
	if err := s.AddReplies([]NewReply{{Reply: Reply{ID: "a", ContactCode: "34600000003", At: now(), Quoted: "wamid.3"}, Places: []Place{{Application: 1, ChannelType: "cloud_api"}}}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.MatchReplies(time.Unix(0, 0)); got.Matched != 1 || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	n := 0
	if err := s.EachReply(first.ID, func(r Reply) error { n++; return nil }); n != 1 || err != nil {
		t.Errorf("%d replies, %v", n, err)
	}
}

// TestReplyByUserIDWaitsForItsContact: a reply of a contact whose number is hidden stays until a receipt tells the
// number, for at most 7 days.
func TestReplyByUserIDWaitsForItsContact(t *testing.T) {
	s := openTest(t)
	sending := isOver(t, s, draft{rows: 3})
	if err := s.AddReplies([]NewReply{{Reply: Reply{ID: "a", At: now()}, UserID: "US.1", Places: []Place{{Application: 1, ChannelType: "cloud_api"}}}}); err != nil {
		t.Fatal(err)
	}
	settled := now().Add(time.Second)
	if got, err := s.MatchReplies(settled); got != (MatchedReplies{}) || err != nil {
		t.Errorf("before the number is known: %+v, %v", got, err)
	}
	if _, _, waiting, err := s.UnmatchedReplies(); waiting != 1 || err != nil {
		t.Errorf("%d waiting, %v", waiting, err)
	}
	if err := s.LearnUserID("US.1", "+34600000002", now()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.MatchReplies(settled); got.Matched != 1 || err != nil {
		t.Errorf("after it: %+v, %v", got, err)
	}
	if err := s.EachReply(sending, func(r Reply) error {
		if r.ContactCode != "34600000002" {
			t.Errorf("got %q", r.ContactCode)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
