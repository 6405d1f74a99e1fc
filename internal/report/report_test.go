package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/test/golden"

	"github.com/google/go-cmp/cmp"
)

// madrid is a zone that differs from UTC.
func madrid(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// Every way to end, as the partner sees it in the folder.
func TestFilesOfEveryEnd(t *testing.T) {
	for name, l := range sendings() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Write(dir, l, l.s.ID, madrid(t)); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, file := range []string{TextFile, ReportFile, ResultsFile, RepliesFile} {
				data, err := os.ReadFile(filepath.Join(dir, file))
				if errors.Is(err, fs.ErrNotExist) {
					fmt.Fprintf(&got, "-- no %s --\n", file)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "-- %s --\n%s", file, data)
				info, err := os.Stat(filepath.Join(dir, file))
				if err != nil || info.Mode() != 0o644 {
					t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
				}
			}
			golden.Compare(t, "testdata/"+name+".golden", got.String())
			if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) > 4 {
				t.Errorf("something else was left: %v", names)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	slots := []campaign.Slice{
		{Start: instantOf("09:30:00"), End: instantOf("09:35:00"), First: 0, Rows: 2, Recipients: 2},
		{Start: instantOf("09:35:00"), End: instantOf("09:40:00"), First: 2, Rows: 1, Recipients: 1},
	}
	half := func(state campaign.State) *memorySource {
		l := newMemorySource(state)
		l.s.FinishedAt = time.Time{}
		l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent)
		l.add(3, "34666777889", 0, nil, campaign.Pending)
		l.add(4, "34666777890", 0, nil, campaign.Pending)
		return l
	}
	var got strings.Builder
	write := func(title string, d *StatusDocument) {
		fmt.Fprintf(&got, "-- %s --\n", title)
		if err := encode(&got, d); err != nil {
			t.Fatal(err)
		}
	}
	checking := newMemorySource(campaign.StateChecking)
	checking.s.ScheduledAt, checking.s.StartedAt, checking.s.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	checking.s.CSV, checking.s.Condition = campaign.CSVInfo{}, ""
	write("checking", Checking(checking.s, 0.4567))

	l := half(campaign.StateSending)
	write("sending, sliced", Status(l.s, slots, l.counts, instantOf("09:31:00"), Outlook{}))
	write("sending, unsliced: by the pace so far", Status(l.s, []campaign.Slice{{Start: l.s.ScheduledAt, Rows: 3, Recipients: 3}}, l.counts, instantOf("09:31:00"), Outlook{}))
	l = half(campaign.StateHeld)
	l.s.Reason = "the token was refused"
	write("held: no one knows when it ends", Status(l.s, slots, l.counts, instantOf("09:31:00"), Outlook{}))
	golden.Compare(t, "testdata/status.golden", got.String())

	done := sendings()["completed"]
	switch d := Status(done.s, done.slices, done.counts, instantOf("10:00:00"), Outlook{}); {
	case d.Percent != 100:
		t.Errorf("completed: d.Percent = %v, want 100", d.Percent)
	case !d.EstimatedEnd.IsZero():
		t.Errorf("completed: d.EstimatedEnd = %v, want none", d.EstimatedEnd)
	}
}

func TestEstimateIsAbsentWhenUnknown(t *testing.T) {
	l := newMemorySource(campaign.StateSending)
	l.s.Planned = 1 << 60
	now := instantOf("09:31:00")
	for name, counts := range map[string]campaign.Counts{"nothing done": {}, "would take for ever": {campaign.Sent: 1}} {
		got, unknown := estimate(l.s, nil, counts, now, Outlook{})
		if !got.IsZero() {
			t.Errorf("%s: estimated end %v, want none", name, got)
		}
		if unknown == "" {
			t.Errorf("%s: no reason, want one", name)
		}
	}
}

// Before anything was sent the channel's rate tells when it will be over.
func TestEstimateByTheRate(t *testing.T) {
	now := instantOf("09:00:00")
	for _, c := range []struct {
		state campaign.State
		sent  uint64
		rate  float64
		want  string
	}{
		{campaign.StateScheduled, 0, 2, "09:31:00"}, // T is 09:30:00, 120 messages
		{campaign.StateScheduled, 0, 0, "09:30:00"},
		{campaign.StateSending, 0, 2, "09:01:00"},
		{campaign.StateSending, 60, 2, "09:01:00"}, // 60 in the minute since it started: the pace, not the rate
	} {
		l := newMemorySource(c.state)
		l.s.Planned, l.s.ScheduledAt, l.s.StartedAt = 120, instantOf("09:30:00"), time.Time{}
		if c.state == campaign.StateSending {
			l.s.ScheduledAt, l.s.StartedAt = instantOf("08:59:00"), instantOf("08:59:00")
		}
		got := Status(l.s, nil, campaign.Counts{campaign.Sent: c.sent}, now, Outlook{Rate: c.rate}).EstimatedEnd
		if !got.Equal(instantOf(c.want)) {
			t.Errorf("%s, %d sent, rate %v: %v, want %s", c.state, c.sent, c.rate, got, c.want)
		}
	}
}

// The verb agrees with the number that was sent.
func TestHeadlineSaysOneWere(t *testing.T) {
	l := newMemorySource(campaign.StateCompleted)
	for _, c := range []struct {
		sent, planned uint64
		want          string
	}{
		{1, 2, "only 1 of 2 messages was sent: "},
		{2, 3, "only 2 of 3 messages were sent: "},
	} {
		l.s.Planned = c.planned
		if got := headline(l.s, campaign.Counts{campaign.Sent: c.sent, campaign.Failed: 1}); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	l.s.State, l.s.Planned = campaign.StateSending, 1
	if got, want := headline(l.s, campaign.Counts{}), "0 of 1 message was sent so far"; !strings.Contains(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Who should read something isn't told that there is nothing to do.
func TestHeadlineOfADoneDrop(t *testing.T) {
	l := sendings()["completed"]
	for _, c := range []struct {
		warnings  int
		duplicate uint32
		want      string
	}{
		{1, 0, "sent. There is nothing to do, unless the warning below says otherwise."},
		{2, 1, "sent (1 row repeats a contact and was left out). Read the warnings below."},
		{0, 2000, "sent (2,000 rows repeat a contact and were left out)."},
	} {
		l.s.Warnings, l.s.Rows.Duplicate = make([]campaign.Problem, c.warnings), c.duplicate
		if got := headline(l.s, l.counts); !strings.HasSuffix(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestWriteStatus(t *testing.T) {
	dir := t.TempDir()
	l := sendings()["completed"]
	l.s.State = campaign.StateSending
	if err := WriteStatus(dir, l.s, l.slices, l.counts, instantOf("09:31:00"), Outlook{}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, StatusFile))
	switch {
	case err != nil:
		t.Fatalf("status.json: %v", err)
	case !json.Valid(data):
		t.Fatal("status.json: json.Valid(data) = false, want true")
	}
	if err := Write(dir, l, l.s.ID, madrid(t)); err == nil || !strings.Contains(err.Error(), "sending") {
		t.Errorf("a final report before the end: %v", err)
	}
	for name, err := range map[string]error{
		"unknown sending, report": Write(dir, l, "20260302-000099", nil),
		"unknown sending, rows":   Results(&bytes.Buffer{}, l, "20260302-000099", Selection{}),
		"no folder":               WriteStatus(filepath.Join(dir, "none"), l.s, l.slices, l.counts, instantOf("09:31:00"), Outlook{}),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The keys of report.json are those of docs/contract.md 9, in its order, and messages has every outcome.
func TestReportKeys(t *testing.T) {
	var doc bytes.Buffer
	l := sendings()["completed"]
	l.s.Receipts = true
	l.s.Reason, l.s.Previews = "x", []campaign.Preview{{Content: "no JSON"}}
	if err := encode(&doc, Report(l.s, l.slices, l.counts)); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for line := range strings.Lines(doc.String()) {
		if strings.HasPrefix(line, `  "`) {
			keys = append(keys, strings.Split(line, `"`)[1])
		}
	}
	want := strings.Fields(`id name reference state reason applicationId campaignId slicingCondition receivedAt scheduledAt
		startedAt finishedAt recipients messages delivery slices csv warnings errors errorCount previews`)
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	got := []string{}
	for i := range reflect.TypeFor[Messages]().NumField() {
		got = append(got, reflect.TypeFor[Messages]().Field(i).Tag.Get("json"))
	}
	outcomes := []string{"planned"}
	for _, o := range campaign.FinalOutcomes {
		outcomes = append(outcomes, o.String())
	}
	if diff := cmp.Diff(outcomes, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// Text from outside can't forge a line of the report or send terminal escapes.
func TestTextIsOneLineForEach(t *testing.T) {
	l := sendings()["rejected"]
	l.s.Reference, l.s.Reason = "x\nDone: all sent\x1b[2J", "\u202eforged\r\n"
	l.s.Problems[0].Message = "a\nb\xff"
	var b strings.Builder
	if err := writeText(&b, nil, l.s, nil, l.counts, nil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Errorf("want no \"\\x1b\" in:\n%s", b.String())
	}
	if strings.Contains(b.String(), "\nDone") {
		t.Errorf("want no %q in:\n%s", "\nDone", b.String())
	}
	if strings.ContainsAny(b.String(), "\r\u202e") {
		t.Errorf("want none of \"\\r\\u202e\" in:\n%s", b.String())
	}
}

func TestTextBeforeTheEnd(t *testing.T) {
	l := sendings()["completed-with-failures"]
	for i := range 30 { // more than the report lists
		start := instantOf("09:40:00").Add(time.Duration(i) * 12 * time.Hour)
		l.slices = append(l.slices, campaign.Slice{Start: start, End: start.Add(12 * time.Hour), Recipients: 1})
	}
	l.counts[campaign.Pending], l.counts[campaign.InFlight], l.counts[campaign.Retrying] = 1234567, 2, 1
	var b strings.Builder
	for _, state := range []campaign.State{campaign.StateChecking, campaign.StateSending, campaign.StateHeld} {
		l.s.State, l.s.Reason = state, map[campaign.State]string{campaign.StateHeld: "the token was refused"}[state]
		if err := writeText(&b, nil, l.s, l.slices, l.counts, nil); err != nil {
			t.Fatal(err)
		}
	}
	golden.Compare(t, "testdata/before-the-end.golden", b.String())
}
