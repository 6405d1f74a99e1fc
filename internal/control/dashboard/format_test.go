package dashboard

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	_ "time/tzdata" // a machine without zone files runs these tests too

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		percent(0): "0%", percent(.02): "<0.1%", percent(1): "1.0%", percent(49.65): "49.6%", percent(99.99): "99.9%", percent(100): "100%",
		rate(0): "", rate(.001): "under one a minute", rate(.5): "30 a minute", rate(2): "2.0 a second", rate(1234.4): "1,234 a second",
		duration(0): "0 s", duration(59 * time.Second): "59 s", duration(90 * time.Second): "1 min 30 s", duration(time.Hour): "1 h", duration(26 * time.Hour): "1 d 2 h", duration(5 * time.Minute): "5 min",
		sentence(""): "", sentence("no"): "No.", sentence("what?"): "What?", sentence("a.csv is empty"): "a.csv is empty.", sentence("Done."): "Done.", sentence("élan"): "Élan.",
		delimiter(","): "commas", delimiter("x"): "x",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMoments(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	l := viewer{madrid, time.Date(2026, 3, 14, 22, 30, 0, 0, time.UTC)} // 23:30 there
	for at, want := range map[time.Time]string{
		{}: "", l.now.Add(-time.Hour): "22:30", l.now.Add(time.Hour): "Sun 00:30", l.now.Add(-5 * 24 * time.Hour): "Mon 23:30",
		l.now.Add(20 * 24 * time.Hour): "4 Apr, 00:30", l.now.Add(-300 * 24 * time.Hour): "19 May 2025, 00:30",
	} {
		if got := l.moment(at).Text; got != want {
			t.Errorf("%s is %q, want %q", at, got, want)
		}
	}
	switch m := l.moment(l.now); {
	case m.ISO != "2026-03-14T22:30:00Z":
		t.Errorf("m.ISO = %q, want \"2026-03-14T22:30:00Z\"", m.ISO)
	case m.Full != "Saturday 14 March 2026, 23:30:00 CET":
		t.Errorf("m.Full = %q, want \"Saturday 14 March 2026, 23:30:00 CET\"", m.Full)
	}
	if got := l.step(l.now.Add(7*time.Second), time.Second).Text; got != "23:30:07" {
		t.Errorf("to the second: %q", got)
	}
	if got := l.step(l.now, time.Hour).Text; got != "23:30" {
		t.Errorf("to the hour: %q", got)
	}
}

func TestZones(t *testing.T) {
	for cookie, want := range map[string]string{
		"": "UTC", "campaignd_zone=Europe%2FMadrid": "Europe/Madrid", "campaignd_zone=America/Bogota": "America/Bogota",
		"campaignd_zone=Nowhere": "UTC", "campaignd_zone=..%2F..%2Fetc%2Fpasswd": "UTC", "campaignd_zone=Local": "UTC", "campaignd_zone=/etc/localtime": "UTC",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", cookie)
		if got := viewerOf(r).zone.String(); got != want {
			t.Errorf("%q is %s, want %s", cookie, got, want)
		}
	}
}

func TestFirstRow(t *testing.T) {
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ at, want string }{
		{"2026-03-14T12:34:56Z", "2026-03-14T12:00:00+01:00"},
		{"2026-03-14T11:00:00Z", "2026-03-14T12:00:00+01:00"},
		{"2026-03-14T10:59:59Z", "2026-03-14T06:00:00+01:00"},
		{"2026-03-13T23:00:00Z", "2026-03-14T00:00:00+01:00"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := firstRow(at, madrid).In(madrid).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s, want %s", c.at, got, c.want)
		}
	}
}

// TestCompletedWithFailures: the list calls a sending so as soon as one of its messages didn't arrive.
func TestCompletedWithFailures(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages api.Messages
		delivery *campaign.DeliveryCounts
		failures bool
		percent  string
		facts    string
	}{
		{"all were sent", api.Messages{Planned: 3, Sent: 3}, nil, false, "100%", "3 of 3 messages sent"},
		{"all were delivered", api.Messages{Planned: 3, Sent: 3}, &campaign.DeliveryCounts{Delivered: 1, Read: 2}, false, "100%", "3 of 3 messages sent"},
		{"two weren't delivered", api.Messages{Planned: 3, Sent: 3}, &campaign.DeliveryCounts{Delivered: 1, Failed: 2}, true, "", "3 of 3 messages sent; 2 not delivered"},
		{"one expired", api.Messages{Planned: 3, Sent: 2, Expired: 1}, nil, true, "", "2 of 3 messages sent; 1 expired"},
		{"one opted out", api.Messages{Planned: 3, Sent: 2, Suppressed: 1}, nil, false, "", "2 of 3 messages sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rowOf(api.Sending{Drop: api.Drop{State: campaign.StateCompleted, Messages: c.messages}, Delivery: c.delivery, Percent: 100}, viewer{})
			if r.Failures != c.failures {
				t.Errorf("failures: %t; want %t", r.Failures, c.failures)
			}
			if r.Percent != c.percent {
				t.Errorf("percent %q; want %q", r.Percent, c.percent)
			}
			if got := strings.Join(r.Facts, "; "); got != c.facts {
				t.Errorf("facts %q; want %q", got, c.facts)
			}
		})
	}
}
