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
