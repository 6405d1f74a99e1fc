package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

// TestResendCountsWhatItLeaves: a skipped message goes with the one before it, and what is left is counted by
// outcome. A contact who has opted out since gets nothing, so its message stays as it is.
func TestResendCountsWhatItLeaves(t *testing.T) {
	s := openTest(t)
	id := accept(t, s, draft{rows: 4, messages: 2}, nil).ID
	attempted(t, s, id, 0, 1, campaign.Failed, false)
	attempted(t, s, id, 1, 1, campaign.Failed, false)
	attempted(t, s, id, 2, 1, campaign.Unknown, false)
	attempted(t, s, id, 3, 1, campaign.Sent, false)
	commit(t, s, entry(id, 3, 2, campaign.Expired, 0))
	var rows campaign.Rows
	if _, err := s.Rows(id, 0, &rows, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: string(rows.Contacts.At(1))}}); err != nil {
		t.Fatal(err)
	}
	want := Resent{
		Moved: campaign.Counts{campaign.Failed: 1, campaign.Skipped: 1},
		Left:  campaign.Counts{campaign.Failed: 1, campaign.Unknown: 1, campaign.Skipped: 2, campaign.Sent: 1, campaign.Expired: 1},
	}
	for _, dryRun := range []bool{true, false} {
		got, err := s.Resend(id, Resending{Outcomes: []campaign.Outcome{campaign.Failed}, DryRun: dryRun})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("dry run %t: %v (-want +got):\n%s", dryRun, err, diff)
		}
	}
	wantCounts(t, s, id, map[campaign.Outcome]uint64{campaign.Pending: 2, campaign.Failed: 1, campaign.Unknown: 1, campaign.Skipped: 2, campaign.Sent: 1, campaign.Expired: 1})
	verify(t, s)
}
