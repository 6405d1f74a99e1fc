package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

func TestEstimateKnowsWindowsAndWaits(t *testing.T) {
	windows, err := calendar.ParseWindows([]string{"* 9-19 * * *"}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	l := newMemorySource(campaign.StateScheduled)
	l.s.Planned, l.s.StartedAt = 7200, time.Time{}
	l.s.ScheduledAt = instantOf("19:00:00")
	now := instantOf("18:00:00")
	got := Status(l.s, nil, l.counts, now, Outlook{Rate: 1, Windows: windows})
	if want := instantOf("10:00:00").AddDate(0, 0, 1); !got.EstimatedEnd.Equal(want) {
		t.Errorf("estimated end %s; want %s: an hour before the windows close, an hour after they open", got.EstimatedEnd, want)
	}
	got = Status(l.s, nil, l.counts, now, Outlook{Rate: 1, Waits: &campaign.WaitsFor{Reason: "channel c is held: bad\nwords", Since: now, Until: now.Add(time.Minute)}})
	if !got.EstimatedEnd.IsZero() {
		t.Errorf("estimated end %s while the sending waits; want none", got.EstimatedEnd)
	}
	switch w := got.WaitsFor; {
	case w == nil:
		t.Error("w: got nil")
	case w.Reason != "channel c is held: bad words":
		t.Errorf(`w.Reason: got %q, want "channel c is held: bad words"`, w.Reason)
	case !w.Since.Equal(now):
		t.Errorf("w.Since: got %v, want %v", w.Since, now)
	case !w.Until.Equal(now.Add(time.Minute)):
		t.Errorf("w.Until: got %v, want %v", w.Until, now.Add(time.Minute))
	}
}

// A paused or held sending says since when, and a held one until when: status.json had its reason only.
func TestAStoppedSendingSaysSinceWhen(t *testing.T) {
	since, until := instantOf("18:00:00"), instantOf("18:05:00")
	for state, waits := range map[campaign.State]*campaign.WaitsFor{campaign.StatePaused: nil, campaign.StateHeld: {Until: until}} {
		l := newMemorySource(state)
		l.s.Reason, l.s.StoppedAt = "because", since
		want := &campaign.WaitsFor{Reason: "because", Since: since}
		if waits != nil {
			want.Until = until
		}
		if diff := cmp.Diff(want, Status(l.s, nil, l.counts, since, Outlook{Waits: waits}).WaitsFor); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
	}
}

func TestFormulasArePrecededByAnApostrophe(t *testing.T) {
	for cell, want := range map[string]string{
		`=HYPERLINK("http://x")`: `"'=HYPERLINK(""http://x"")"`,
		"@SUM(1)":                "'@SUM(1)",
		"-1+1":                   "'-1+1",
		"+cmd":                   "'+cmd",
		"\tx":                    "\"'\tx\"",
		"＝1":                     "'＝1",
		"＋x":                     "'＋x",
		"＋34":                    "＋34",
		"+34 666-777 (888)":      "+34 666-777 (888)",
		"-12.5":                  "-12.5",
		"34666777888":            "34666777888",
		"":                       "",
		"x=1":                    "x=1",
		"'=1":                    "'=1",
	} {
		if got := string(appendCell(nil, cell, true)); got != want {
			t.Errorf("cell %q is written as %q; want %q", cell, got, want)
		}
	}
}

func TestFailuresAreGroupedAndLimited(t *testing.T) {
	var g failureGroups
	for i := range 12 {
		g.add("422", "Unprocessable Entity", uint32(i+5))
	}
	for i := range 200 {
		g.add("x", strings.Repeat("y", i), uint32(i+100))
	}
	list := g.list()
	switch {
	case len(list) != maxFailures+1:
		t.Errorf("len(list) = %v, want 101", len(list))
	case list[0] != (Failure{Detail: otherFailures, Count: 101, FirstLine: 199}):
		t.Errorf("list[0] = %+v, want %+v", list[0], (Failure{Detail: otherFailures, Count: 101, FirstLine: 199}))
	case list[1] != (Failure{Code: "422", Detail: "Unprocessable Entity", Count: 12, FirstLine: 5}):
		t.Errorf("list[1] = %+v, want %+v", list[1], (Failure{Code: "422", Detail: "Unprocessable Entity", Count: 12, FirstLine: 5}))
	}
}

func TestDoneNeverSaysNothingToDoWhenSomethingIsMissing(t *testing.T) {
	for name, change := range map[string]func(*campaign.Sending, *campaign.Counts){
		"failed":        func(_ *campaign.Sending, c *campaign.Counts) { c[campaign.Failed], c[campaign.Sent] = 1, 1 },
		"unknown":       func(_ *campaign.Sending, c *campaign.Counts) { c[campaign.Unknown], c[campaign.Sent] = 1, 1 },
		"not delivered": func(s *campaign.Sending, _ *campaign.Counts) { s.Receipts, s.Delivery.Failed = true, 1 },
		"left out":      func(s *campaign.Sending, _ *campaign.Counts) { s.Rows.Duplicate = 1 },
		"rejected":      func(s *campaign.Sending, _ *campaign.Counts) { s.Rows.Rejected = 1 },
	} {
		l := newMemorySource(campaign.StateCompleted)
		l.s.Planned = 2
		counts := campaign.Counts{campaign.Sent: 2}
		change(l.s, &counts)
		if got := headline(l.s, counts); strings.Contains(got, "othing to do") || !strings.Contains(got, "1 ") {
			t.Errorf("%s: %q; want it counted", name, got)
		}
	}
}

// A canceled sending of which nothing was left to cancel is not told to send the lines that results.csv calls canceled.
func TestACanceledSendingWithoutARest(t *testing.T) {
	s := &campaign.Sending{Planned: 12, Reason: "canceled on request"}
	for rest, want := range map[uint64]bool{0: false, 2: true} {
		counts := campaign.Counts{campaign.Unknown: 12 - rest, campaign.Canceled: rest}
		if line := canceled(s, counts); strings.Contains(line, "To send the rest") != want {
			t.Errorf("with %d canceled: %q; want advice about a rest: %t", rest, line, want)
		}
	}
}
