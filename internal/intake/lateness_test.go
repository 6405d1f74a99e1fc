package intake

import (
	"strings"
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send/whatsapp"
)

func TestSendingThatNeedsMoreTimeThanItHasIsWarned(t *testing.T) {
	windows, err := calendar.ParseWindows([]string{"0 9 * * MON"}, time.UTC) // a minute a week
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		channel config.Channel
		windows *calendar.Windows
		rows    uint32
		want    string
	}{
		"fast enough":       {config.Channel{Rate: 1}, nil, 86_400, ""},
		"too slow":          {config.Channel{Rate: 1}, nil, 86_401, "86,401 messages take 24h0m1s at 1 a second; what isn't sent within 24h of its time expires (max_lateness)"},
		"unlimited":         {config.Channel{}, windows, 86_401, ""},
		"quota of a week":   {config.Channel{Settings: &whatsapp.Settings{DailyContacts: 100}}, nil, 800, ""},
		"quota of nine":     {config.Channel{Settings: &whatsapp.Settings{DailyContacts: 100}}, nil, 801, "daily_contacts = 100 spreads 801 recipients over 9 days; what isn't sent within 8d of its time expires (max_lateness and at most 7 days of waiting)"},
		"windows suffice":   {config.Channel{Rate: 1}, windows, 120, ""},
		"windows too short": {config.Channel{Rate: 1}, windows, 121, "sending takes 2m1s, and within 8d of its time the sending windows are open for less; "},
	} {
		t.Run(name, func(t *testing.T) {
			app := &config.Application{MaxLateness: 24 * time.Hour, Windows: c.windows, Channels: map[string]config.Channel{"c": c.channel}}
			s := &campaign.Sending{Name: "spring", Channels: []string{"c"}, Planned: uint64(c.rows), Rows: campaign.RowCounts{Accepted: c.rows}}
			got, warned := latenessWarning(app, s, monday)
			if warned != (c.want != "") {
				t.Errorf("warned = %v, want %v", warned, (c.want != ""))
			}
			if !strings.Contains(got.Message, c.want) {
				t.Errorf("got.Message = %q, want %q in it", got.Message, c.want)
			}
		})
	}
}
