package intake

import (
	"fmt"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
)

// latenessWarning returns a warning if an unsliced sending due at t needs more time than it
// has before its messages expire: at the rates of its channels, with daily_contacts and
// within the sending windows.
func latenessWarning(app *config.Application, s *campaign.Sending, t time.Time) (campaign.Problem, bool) {
	warn := func(format string, args ...any) (campaign.Problem, bool) {
		return campaign.Problem{File: s.Name + ".csv", Message: fmt.Sprintf(format, args...)}, true
	}
	longest := app.MaxLateness + campaign.MaxBlocked
	rate, contacts := 0.0, 0
	for _, name := range s.Channels {
		c := app.Channels[name]
		if c.Rate > 0 && (rate == 0 || c.Rate < rate) {
			rate = c.Rate
		}
		if most := c.DailyContacts(); most > 0 && (contacts == 0 || most < contacts) {
			contacts = most
		}
	}
	var needed time.Duration
	if rate > 0 {
		seconds := float64(s.Planned) / rate
		if needed = time.Duration(seconds) * time.Second; needed > app.MaxLateness {
			return warn("%s take %s at %g a second; what isn't sent within %s of its time expires (max_lateness)",
				display.Amount(s.Planned, "message"), needed, rate, calendar.FormatLength(app.MaxLateness))
		}
	}
	if contacts > 0 {
		if days := (int64(s.Rows.Accepted) - 1) / int64(contacts); days > int64(campaign.MaxBlocked/(24*time.Hour)) {
			return warn("daily_contacts = %d spreads %s over %s; what isn't sent within %s of its time expires (max_lateness and at most 7 days of waiting)",
				contacts, display.Amount(s.Rows.Accepted, "recipient"), display.Amount(days+1, "day"), calendar.FormatLength(longest))
		}
	}
	if _, enough := app.Windows.OpenFor(t, needed, t.Add(longest)); !enough {
		return warn("sending takes %s, and within %s of its time the sending windows are open for less; what isn't sent by then expires (max_lateness and at most 7 days of waiting)",
			needed, calendar.FormatLength(longest))
	}
	return campaign.Problem{}, false
}
