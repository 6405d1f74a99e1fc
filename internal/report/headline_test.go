package report

import (
	"strings"
	"testing"

	"campaignd/internal/campaign"
)

// A report on a channel that sends nothing says so before anything else.
func TestHeadlineOfSilentChannel(t *testing.T) {
	s := &campaign.Sending{State: campaign.StateCompleted, Planned: 3, Warnings: []campaign.Problem{
		{Code: campaign.CodeSilentChannel, Message: `the driver null of the channel "bulk" calls every message sent and sends none`}}}
	var counts campaign.Counts
	counts[campaign.Sent] = 3
	got := headline(s, counts)
	if want := `Nothing was sent: the driver null of the channel "bulk" calls every message sent and sends none. `; !strings.HasPrefix(got, want) {
		t.Errorf("the report begins with %q, want %q", got, want)
	}
}

// A line whose first message was sent gets it again if its later messages are uploaded again.
func TestHeadlineOfSeveralMessagesSendsNoneTwice(t *testing.T) {
	for state, o := range map[campaign.State]campaign.Outcome{campaign.StateCanceled: campaign.Canceled, campaign.StateCompleted: campaign.Expired} {
		s := &campaign.Sending{State: state, AcceptedAt: instantOf("09:00:01"), Planned: 6, Rows: campaign.RowCounts{Total: 2, Accepted: 2}}
		counts := campaign.Counts{campaign.Sent: 1}
		counts[o] = 5
		want := "make a new CSV of the lines with " + o.String() + " messages of which results.csv calls none sent or unknown"
		if got := headline(s, counts); !strings.Contains(got, want) {
			t.Errorf("got %q; want %q in it", got, want)
		}
	}
}

func TestHeadlineOfUnknownMessagesAlone(t *testing.T) {
	for state, want := range map[campaign.State]string{
		campaign.StateCompleted: "Done, but it isn't certain that anything was sent of 2 messages planned: 2 may have been sent.",
		campaign.StateCanceled:  "Canceled before it was certain that anything was sent: 2 may have been sent.",
	} {
		s := &campaign.Sending{State: state, AcceptedAt: instantOf("09:00:01"), Planned: 2, Rows: campaign.RowCounts{Total: 2, Accepted: 2}}
		if got := headline(s, campaign.Counts{campaign.Unknown: 2}); !strings.HasPrefix(got, want) {
			t.Errorf("the report begins with %q, want %q", got, want)
		}
	}
}
