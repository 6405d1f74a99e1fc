package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// unknown makes a sending of three recipients with two messages each, whose first messages all got
// no answer. It reports receipts for two of them when report is called.
func unknown(t *testing.T, s *Store) (head *campaign.Sending, end, report func()) {
	t.Helper()
	head = accept(t, s, draft{rows: 3, messages: 2, receipts: true}, nil)
	end = func() {
		t.Helper()
		for i := range 3 {
			commit(t, s, entry(head.ID, i, 1, campaign.InFlight, 1))
			e := entry(head.ID, i, 1, campaign.Unknown, 1)
			e.Detail = "no answer came"
			commit(t, s, e)
		}
		finish(t, s, head.ID)
	}
	report = func() {
		t.Helper()
		list := []Receipt{reportOf(head, 2, campaign.Delivered, 1), reportOf(head, 3, campaign.Undelivered, 1)}
		if got, err := s.RecordReceipts(list); len(got) != 2 || err != nil {
			t.Fatalf("%d receipts are recorded, %v, want 2", len(got), err)
		}
	}
	return head, end, report
}

// TestReceiptOfUnknownMessage: a receipt proves that the provider accepted the message, whether it comes
// before or after the outcome. The message is sent, and isn't sent again as unknown.
func TestReceiptOfUnknownMessage(t *testing.T) {
	for name, first := range map[string]func(end, report func()){
		"the receipt comes first": func(end, report func()) { report(); end() },
		"the outcome comes first": func(end, report func()) { end(); report() },
	} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			head, end, report := unknown(t, s)
			first(end, report)
			_, _, counts, err := s.Load(head.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(campaign.Counts{campaign.Sent: 2, campaign.Unknown: 1, campaign.Skipped: 3}, counts); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if err := s.EachChunk(head.ID, func(_ *campaign.Rows, _ []campaign.MessageStatus, entries []campaign.Entry) error {
				for _, e := range entries {
					if lost := e.Outcome == campaign.Unknown; (e.Detail != "") != lost {
						t.Errorf("the %s message of row %d has the error %q", e.Outcome, e.Row, e.Detail)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			// The last unknown message and the skipped one after it, and the two that were skipped
			// although their first message was accepted.
			if resent, err := s.Resend(head.ID, Resending{Outcomes: []campaign.Outcome{campaign.Unknown}}); resent.Moved.Final() != 4 || err != nil {
				t.Errorf("%d messages are sent again, %v, want 4", resent.Moved.Final(), err)
			}
			if wrong := s.Verify(true); len(wrong) > 0 {
				t.Errorf("the store is inconsistent: %v", wrong)
			}
		})
	}
}

// TestResendKnowsReceipts: in a sending that hasn't ended, a message whose receipt came before its outcome isn't sent again.
func TestResendKnowsReceipts(t *testing.T) {
	s := openTest(t)
	head := accept(t, s, draft{rows: 2, receipts: true}, nil)
	commit(t, s, entry(head.ID, 0, 1, campaign.InFlight, 1))
	if _, err := s.RecordReceipts([]Receipt{reportOf(head, 2, campaign.Delivered, 1)}); err != nil {
		t.Fatal(err)
	}
	commit(t, s, entry(head.ID, 0, 1, campaign.Unknown, 1))
	if resent, err := s.Resend(head.ID, Resending{Outcomes: []campaign.Outcome{campaign.Unknown}}); resent.Moved.Final() != 0 || err != nil {
		t.Errorf("%d messages are sent again, %v, want 0", resent.Moved.Final(), err)
	}
}
