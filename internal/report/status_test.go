package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/test/golden"

	"github.com/google/go-cmp/cmp"
)

// statusText returns status.txt of a sending as it is at 09:31 UTC.
func statusText(t *testing.T, l *memorySource, o Outlook) string {
	t.Helper()
	dir := t.TempDir()
	if err := WriteStatus(dir, l.s, l.slices, l.counts, instantOf("09:31:00"), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, StatusTextFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a partner reads while a drop is checked, sends, waits and is paused.
func TestStatusText(t *testing.T) {
	l := newMemorySource(campaign.StateSending)
	l.s.FinishedAt = time.Time{}
	l.slices = []campaign.Slice{
		{Start: instantOf("09:30:00"), End: instantOf("09:35:00"), Rows: 2, Recipients: 2},
		{Start: instantOf("09:35:00"), End: instantOf("09:40:00"), First: 2, Rows: 1, Recipients: 1},
	}
	l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent)
	l.add(3, "34666777889", 0, nil, campaign.Pending)
	l.add(4, "34666777890", 0, nil, campaign.Pending)
	l.s.Warnings = []campaign.Problem{{File: "spring.csv", Line: 9, Message: "the last line has no line end"}}
	zone := madrid(t)
	var got strings.Builder
	add := func(title, text string) { got.WriteString("-- " + title + " --\n" + text) }

	checking := *newMemorySource(campaign.StateChecking).s
	checking.ScheduledAt, checking.StartedAt, checking.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	dir := t.TempDir()
	if err := WriteChecking(dir, &checking, 0.4567, instantOf("09:31:00"), nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, StatusTextFile))
	if err != nil {
		t.Fatal(err)
	}
	add("checking", string(text))
	add("sending", statusText(t, l, Outlook{Zone: zone}))
	add("waiting", statusText(t, l, Outlook{Zone: zone, Waits: &campaign.WaitsFor{
		Reason: "channel cloud_api is throttled: asked to wait", Since: instantOf("09:30:30"), Until: instantOf("09:32:00")}}))
	l.s.State, l.s.Reason = campaign.StatePaused, "paused on request"
	add("paused by .stop", statusText(t, l, Outlook{Zone: zone, Stopped: "spring.stop"}))
	golden.Compare(t, "testdata/status-text.golden", got.String())
}

// A sending that hasn't begun can get another time, and its status didn't say so.
func TestStatusTextOffersAnotherTimeUntilTheSendingBegins(t *testing.T) {
	const offer = `To begin at another time, upload spring.reschedule.json with a new time, such as {"delay": "PT2H"}.`
	l := newMemorySource(campaign.StateScheduled)
	l.s.StartedAt, l.s.FinishedAt = time.Time{}, time.Time{}
	if got := statusText(t, l, Outlook{Zone: madrid(t)}); !strings.Contains(got, offer) {
		t.Errorf("scheduled: %q is missing in\n%s", offer, got)
	}
	l.s.State, l.s.StartedAt = campaign.StateSending, instantOf("09:30:00")
	if got := statusText(t, l, Outlook{Zone: madrid(t)}); strings.Contains(got, "reschedule") {
		t.Errorf("sending: it offers another time in\n%s", got)
	}
}

// Slices that were planned again share a slot with earlier ones, and a document has an entry for each slot.
func TestSlicesOfOneSlotAreListedOnce(t *testing.T) {
	first, second := instantOf("10:00:00"), instantOf("10:10:00")
	got := sliceList([]campaign.Slice{
		{Start: instantOf("09:58:00"), End: first, Recipients: 3},
		{Start: first, End: second, Recipients: 15},
		{Start: first, End: second},
		{Start: instantOf("10:05:00"), End: second, Recipients: 2},
	})
	want := []Slice{{instantOf("09:58:00"), first, 3}, {first, second, 17}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the slices are wrong (-want +got):\n%s", diff)
	}
}

// Tens of thousands of slices would be megabytes, and nobody reads them.
func TestManySlicesAreSummedUpByTheHour(t *testing.T) {
	slots := func(n int) (list []campaign.Slice) {
		start := instantOf("09:59:30")
		for i := range n {
			at := start.Add(time.Duration(i) * time.Second)
			list = append(list, campaign.Slice{Start: at, End: at.Add(time.Second), Recipients: 2})
		}
		return list
	}
	if got := sliceList(slots(manySlices)); len(got) != manySlices {
		t.Errorf("%d entries for %d slices; want each", len(got), manySlices)
	}
	got := sliceList(slots(7200))
	want := []Slice{
		{instantOf("09:59:30"), instantOf("10:00:00"), 60},
		{instantOf("10:00:00"), instantOf("11:00:00"), 7200},
		{instantOf("11:00:00"), instantOf("11:59:30"), 7140},
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries for two hours of slots: %v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %d is %v; want %v", i, got[i], want[i])
		}
	}
}
