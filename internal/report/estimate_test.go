package report

import (
	"strings"
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// The estimated end was after the expiry, ignored quotas and slots that are too short for the rate, and took a
// pause or the time before a resend for slow sending.
func TestEstimateIsTrueOrLeftOutWithTheReason(t *testing.T) {
	never, err := calendar.ParseWindows([]string{"* 3 30 4 *"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	now := instantOf("10:00:00")
	unsliced := []campaign.Slice{{Start: instantOf("09:00:00"), Rows: 120, Recipients: 120}}
	for name, c := range map[string]struct {
		change  func(s *campaign.Sending)
		slices  []campaign.Slice
		sent    uint64
		outlook Outlook
		want    string // "": left out
		unknown string
	}{
		"the average rate":    {slices: unsliced, sent: 60, want: "11:00:00"},
		"after a pause":       {change: func(s *campaign.Sending) { s.Blocked = 50 * time.Minute }, slices: unsliced, sent: 60, want: "10:10:00"},
		"at the expiry":       {slices: unsliced, sent: 60, outlook: Outlook{Expiry: instantOf("10:30:00")}, want: "10:30:00"},
		"sent again":          {slices: append(unsliced, campaign.Slice{Start: now, Rows: 60, Recipients: 60}), sent: 60, outlook: Outlook{Rate: 1}, want: "10:01:00"},
		"sent again, no rate": {slices: append(unsliced, campaign.Slice{Start: now, Rows: 60, Recipients: 60}), sent: 60, unknown: "nobody knows its rate yet"},
		"a quota":             {slices: unsliced, sent: 60, outlook: Outlook{Rate: 1, Daily: 59}, unknown: "daily_contacts lets at most 59 contacts go in 24 hours, and 60 are left"},
		"a quota with room":   {slices: unsliced, sent: 60, outlook: Outlook{Rate: 1, Daily: 60}, want: "11:00:00"},
		"closed windows":      {slices: unsliced, sent: 1, outlook: Outlook{Windows: never}, unknown: "the sending windows aren't open long enough within a year"},
		"slots":               {slices: []campaign.Slice{{Start: now, End: instantOf("10:05:00"), Rows: 60, Recipients: 60}}, sent: 60, outlook: Outlook{Rate: 1}, want: "10:05:00"},
		"slots too short":     {slices: []campaign.Slice{{Start: now, End: instantOf("10:05:00"), Rows: 60, Recipients: 60}}, sent: 60, outlook: Outlook{Rate: 0.1}, unknown: "its slots are too short"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newMemorySource(campaign.StateSending)
			l.s.Planned, l.s.Rows.Accepted = 120, 120
			l.s.ScheduledAt, l.s.StartedAt, l.s.FinishedAt = instantOf("09:00:00"), instantOf("09:00:00"), time.Time{}
			if c.change != nil {
				c.change(l.s)
			}
			got := Status(l.s, c.slices, campaign.Counts{campaign.Sent: c.sent}, now, c.outlook)
			want := time.Time{}
			if c.want != "" {
				want = instantOf(c.want)
			}
			if !got.EstimatedEnd.Equal(want) {
				t.Errorf("estimated end %v, want %v", got.EstimatedEnd, want)
			}
			if c.unknown == "" && got.NoEstimate != "" || !strings.Contains(got.NoEstimate, c.unknown) {
				t.Errorf("it is unknown because %q, want %q", got.NoEstimate, c.unknown)
			}
		})
	}
}
