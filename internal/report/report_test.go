package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"campaignd/internal/campaign"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

// ledger is a store of one sending.
type ledger struct {
	s        *campaign.Sending
	slices   []campaign.Slice
	counts   campaign.Counts
	refusals []campaign.Refusal
	chunks   []chunk
	err      error // of the walks
}

type chunk struct {
	rows    *campaign.Rows
	marks   []campaign.Mark
	entries []campaign.Entry
}

func (l *ledger) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	if id != l.s.ID {
		return nil, nil, campaign.Counts{}, fs.ErrNotExist
	}
	return l.s, l.slices, l.counts, nil
}

func (l *ledger) EachRefusal(_ campaign.ID, fn func(campaign.Refusal) error) error {
	for _, r := range l.refusals {
		if err := fn(r); err != nil {
			return err
		}
	}
	return l.err
}

func (l *ledger) EachChunk(_ campaign.ID, fn func(*campaign.Rows, []campaign.Mark, []campaign.Entry) error) error {
	for _, c := range l.chunks {
		if err := fn(c.rows, c.marks, c.entries); err != nil {
			return err
		}
	}
	return nil
}

// add appends a recipient; outcomes has one for each message of its channel.
func (l *ledger) add(line uint32, contact string, channel uint8, details func(m int) campaign.Entry, outcomes ...campaign.Outcome) {
	if n := len(l.chunks); n == 0 || l.chunks[n-1].rows.Len() == campaign.ChunkRows {
		l.chunks = append(l.chunks, chunk{rows: &campaign.Rows{First: uint32(n * campaign.ChunkRows)}})
	}
	c := &l.chunks[len(l.chunks)-1]
	row := c.rows.First + uint32(c.rows.Len())
	c.rows.Lines = append(c.rows.Lines, line)
	c.rows.Channels = append(c.rows.Channels, channel)
	c.rows.Contacts.AppendString(contact)
	for m := range l.s.Messages {
		if m >= len(outcomes) {
			c.marks = append(c.marks, campaign.NewMark(campaign.Skipped, 0))
			continue
		}
		o := outcomes[m]
		l.counts[o]++
		l.s.Planned++
		attempts := 0
		if details != nil {
			e := details(m + 1)
			e.Row, e.Message = row, uint8(m+1)
			if e.Outcome == 0 {
				e.Outcome = o
			}
			attempts = int(e.Attempts)
			c.entries = append(c.entries, e)
		}
		c.marks = append(c.marks, campaign.NewMark(o, attempts))
	}
	l.s.Rows.Total++
	l.s.Rows.Accepted++
}

func (l *ledger) refuse(line uint32, o campaign.Outcome, contact, column, why string) {
	l.refusals = append(l.refusals, campaign.Refusal{Line: line, Outcome: o, ContactCode: contact, ChannelType: "cloud_api", Column: column, Reason: why})
	l.s.Rows.Total++
	if o == campaign.Duplicate {
		l.s.Rows.Duplicate++
		return
	}
	l.s.Rows.Rejected++
	l.s.Problems = append(l.s.Problems, campaign.Problem{File: l.s.Name + ".csv", Line: int(line), Column: 1, Field: column, Message: why})
	l.s.ProblemCount++
}

func instantOf(clock string) time.Time {
	at, err := time.Parse(time.RFC3339, "2026-03-02T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return at
}

// newLedger is a sending that was accepted and has ended, without rows yet.
func newLedger(state campaign.State) *ledger {
	return &ledger{s: &campaign.Sending{
		ID: "20260302-000007", Name: "spring", Inbox: "inbox", Reference: "order 17", ApplicationID: 1, CampaignID: 7,
		Condition: campaign.FragmentedSlots, Tag: "0badcafe", State: state, Messages: 1,
		Channels: []string{"cloud_api"}, Contents: []campaign.Content{{Item: []byte(`{"body":"x"}`)}},
		ReceivedAt: instantOf("09:00:00"), AcceptedAt: instantOf("09:00:01"), ScheduledAt: instantOf("09:30:00"),
		StartedAt: instantOf("09:30:00"), FinishedAt: instantOf("09:40:00.1234567"),
		CSV: campaign.CSVInfo{Bytes: 152000, SHA256: strings.Repeat("ab", 32), Encoding: "utf-8", Delimiter: ","},
	}}
}

func sentBy(provider string) func(int) campaign.Entry {
	return func(m int) campaign.Entry {
		return campaign.Entry{Attempts: 1, At: instantOf("09:30:01.5"), Provider: fmt.Sprintf("%s-%d", provider, m)}
	}
}

func failedWith(attempts uint8, code, detail string) func(int) campaign.Entry {
	return func(int) campaign.Entry {
		return campaign.Entry{Attempts: attempts, At: instantOf("09:35:00"), Code: code, Detail: detail}
	}
}

// sendings are all the ways in which a drop can end, and some before the end.
func sendings() map[string]*ledger {
	all := map[string]*ledger{}
	slots := []campaign.Slice{
		{Start: instantOf("09:30:00"), End: instantOf("09:35:00"), First: 0, Rows: 2, Recipients: 2},
		{Start: instantOf("09:35:00"), End: instantOf("09:40:00"), First: 2, Rows: 1, Recipients: 1},
	}

	l := newLedger(campaign.StateCompleted)
	l.slices = []campaign.Slice{{Start: l.s.ScheduledAt, Rows: 3, Recipients: 3}}
	for i := range 3 {
		l.add(uint32(i+2), fmt.Sprintf("3466677788%d", i), 0, sentBy("wamid."+fmt.Sprint(i)), campaign.Sent)
	}
	all["completed"] = l

	l = newLedger(campaign.StateCompleted)
	l.s.Sliced, l.slices = true, slots
	l.s.Messages, l.s.Channels = 2, []string{"cloud_api", "sms"}
	l.s.Contents = []campaign.Content{{Item: []byte(`{}`)}, {ChannelType: "cloud_api", Item: []byte(`{}`)}}
	l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent, campaign.Sent)
	l.refuse(3, campaign.Rejected, "3.46668E+10", "contactCode", "a spreadsheet ruined this number: 3.46668E+10")
	l.refuse(4, campaign.Duplicate, "34666777888", "", "the same contact is on line 2")
	l.add(5, "=cmd|' /C calc'!A0, \"x\"", 0, failedWith(6, "131026", "message undeliverable"), campaign.Failed, campaign.Skipped)
	l.add(6, " 346,6\n7", 1, failedWith(1, "", "no answer within 10s"), campaign.Unknown)
	l.add(9, "34600000000", 0, nil, campaign.Suppressed, campaign.Skipped)
	l.add(10, "34600000001", 0, func(int) campaign.Entry {
		return campaign.Entry{Attempts: 2, At: instantOf("09:31:00"), Outcome: campaign.Retrying, Code: "503"}
	}, campaign.Expired, campaign.Skipped)
	l.refuse(11, campaign.Rejected, "", "", "3 cells where the header has 2")
	l.s.Warnings = []campaign.Problem{{File: "spring.layout.json", Line: 7, Column: 3, Field: "sendType", Message: "is the campaign's; it is ignored here"}}
	all["completed-with-failures"] = l

	l = newLedger(campaign.StateCompleted)
	l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent)
	l.refuse(3, campaign.Rejected, "", "contactCode", "is empty")
	all["completed-rows-rejected"] = l

	l = newLedger(campaign.StateCompleted)
	l.add(2, "34666777888", 0, failedWith(6, "500", "out of order"), campaign.Failed)
	l.add(3, "34666777889", 0, failedWith(6, "500", "out of order"), campaign.Failed)
	all["completed-none-sent"] = l

	l = newLedger(campaign.StateCompleted)
	l.s.DryRun, l.s.Sliced, l.slices = true, true, slots
	l.s.StartedAt = time.Time{}
	l.s.Rows, l.s.Planned = campaign.RowCounts{Total: 3, Accepted: 3}, 3
	l.s.Previews = []campaign.Preview{
		{Line: 2, ContactCode: "34666777888", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello John <3"}`},
		{Line: 3, ContactCode: "34666555666", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello Jane"}`},
	}
	all["dry-run"] = l

	l = newLedger(campaign.StateCanceled)
	l.s.StartedAt, l.s.Reason = time.Time{}, "by spring.cancel"
	l.add(2, "34666777888", 0, nil, campaign.Canceled)
	l.add(3, "34666777889", 0, nil, campaign.Canceled)
	all["canceled-before"] = l

	l = newLedger(campaign.StateCanceled)
	l.s.Reason = "by the operator"
	l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent)
	l.add(3, "34666777889", 0, failedWith(1, "", "no answer within 10s"), campaign.Unknown)
	l.add(4, "34666777890", 0, nil, campaign.Canceled)
	all["canceled-after"] = l

	l = newLedger(campaign.StateCanceled)
	l.s.AcceptedAt, l.s.StartedAt = time.Time{}, time.Time{}
	l.s.Condition = campaign.ImmediateConsecutiveSlots
	l.s.Reason = "there is no room for 3 recipients from 09:30 on: the run of slots with room ends after 2; fragmentedSlots would have fitted"
	for i := range 3 {
		l.add(uint32(i+2), fmt.Sprintf("3466677788%d", i), 0, nil, campaign.Canceled)
	}
	all["no-room"] = l

	reject := func(reason string) *ledger {
		l := newLedger(campaign.StateRejected)
		l.s.AcceptedAt, l.s.StartedAt, l.s.ScheduledAt = time.Time{}, time.Time{}, time.Time{}
		l.s.Reason = reason
		return l
	}

	l = reject("3 errors were found")
	l.s.Problems = []campaign.Problem{
		{File: "spring.layout.json", Line: 3, Column: 21, Field: "contact.contactCode", Message: `variable "phone" is no column; the columns are contactCode, channelType; did you mean "contactCode"?`},
		{File: "spring.schedule.json", Line: 1, Column: 2, Field: "scheduledAt", Message: `unknown key; did you mean "scheduleAt"?`},
		{File: "spring.schedule.json", Line: 1, Column: 40, Field: "rows", Message: "found a string where an integer is wanted"},
	}
	l.s.ProblemCount = 3
	all["rejected"] = l

	l = reject("150 of 200 rows were rejected, more than max_bad_rows (10%): this is probably the wrong file")
	l.s.Rows.Accepted, l.s.Rows.Total = 50, 50
	for i := range 150 {
		l.refuse(uint32(i+2), campaign.Rejected, "", "contactCode", "is empty")
	}
	l.s.Problems = l.s.Problems[:campaign.MaxProblems]
	all["rejected-too-many-rows"] = l

	l = reject(`the same drop was accepted as 20260302-000003 on 2026-03-02 at 08:00 UTC; to send it again on purpose, write "resend": true into the sidecar`)
	l.s.Rows = campaign.RowCounts{Total: 3, Accepted: 3}
	all["rejected-duplicate-drop"] = l

	l = reject("the drop was not complete within pair_timeout: spring.layout.json never arrived")
	l.s.ApplicationID, l.s.CampaignID, l.s.Condition, l.s.Reference, l.s.CSV = 0, 0, "", "", campaign.CSVInfo{}
	l.s.Problems = []campaign.Problem{{File: "spring.layout.json", Message: "never arrived"}}
	l.s.ProblemCount = 1
	all["rejected-incomplete"] = l

	l = reject("the CSV was cut off")
	l.s.CampaignID = 0
	l.s.Problems = []campaign.Problem{{File: "spring.csv", Line: 812, Column: 1, Message: "the last row has 1 cell of 3 and no line end: the upload was cut off; upload the file again"}}
	l.s.ProblemCount = 1
	all["rejected-cut-off"] = l
	return all
}

// Each way to end, as the partner finds it in the folder.
func TestFilesOfEveryEnd(t *testing.T) {
	for name, l := range sendings() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Write(dir, l, l.s.ID); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, file := range []string{TextFile, ReportFile, ResultsFile} {
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
			golden(t, name, got.String())
			if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) > 3 {
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
	half := func(state campaign.State) *ledger {
		l := newLedger(state)
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
	checking := newLedger(campaign.StateChecking)
	checking.s.ScheduledAt, checking.s.StartedAt, checking.s.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	checking.s.CSV, checking.s.Condition = campaign.CSVInfo{}, ""
	write("checking", Checking(checking.s, 0.4567))

	l := half(campaign.StateSending)
	write("sending, sliced", Status(l.s, slots, l.counts, instantOf("09:31:00")))
	write("sending, unsliced: by the pace so far", Status(l.s, []campaign.Slice{{Start: l.s.ScheduledAt, Rows: 3, Recipients: 3}}, l.counts, instantOf("09:31:00")))
	l = half(campaign.StateHeld)
	l.s.Reason = "the token was refused"
	write("held: no one knows when it ends", Status(l.s, slots, l.counts, instantOf("09:31:00")))
	golden(t, "status", got.String())

	done := sendings()["completed"]
	if d := Status(done.s, done.slices, done.counts, instantOf("10:00:00")); d.Percent != 100 || !d.EstimatedEnd.IsZero() {
		t.Errorf("completed: %v%%, ends %v", d.Percent, d.EstimatedEnd)
	}
}

// 99.96 percent is not all of it, and nothing planned is not all of it either.
func TestPercentIsRoundedDown(t *testing.T) {
	for _, one := range []struct {
		done, of uint64
		want     float64
	}{{9999, 10000, 99.9}, {10000, 10000, 100}, {0, 0, 0}, {1, 3, 33.3}} {
		if got := percent(one.done, one.of); got != one.want {
			t.Errorf("percent(%d, %d) = %v, want %v", one.done, one.of, got, one.want)
		}
	}
}

func TestEstimateIsAbsentWhereNoOneCanTell(t *testing.T) {
	l := newLedger(campaign.StateSending)
	l.s.Planned = 1 << 60
	now := instantOf("09:31:00")
	for name, counts := range map[string]campaign.Counts{"nothing done": {}, "would take for ever": {campaign.Sent: 1}} {
		if got := estimate(l.s, nil, counts, now); !got.IsZero() {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestUpdateStatus(t *testing.T) {
	dir := t.TempDir()
	l := sendings()["completed"]
	l.s.State = campaign.StateSending
	if err := UpdateStatus(dir, l, l.s.ID, instantOf("09:31:00")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, StatusFile))
	if err != nil || !json.Valid(data) {
		t.Fatalf("status.json: %s, %v", data, err)
	}
	if err := Write(dir, l, l.s.ID); err == nil || !strings.Contains(err.Error(), "sending") {
		t.Errorf("a final report before the end: %v", err)
	}
	for name, err := range map[string]error{
		"unknown sending, status": UpdateStatus(dir, l, "20260302-000099", time.Now()),
		"unknown sending, report": Write(dir, l, "20260302-000099"),
		"unknown sending, rows":   Results(&bytes.Buffer{}, l, "20260302-000099"),
		"no folder":               UpdateStatus(filepath.Join(dir, "none"), l, l.s.ID, time.Now()),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The keys of report.json are those of SPEC 9, in its order, and messages has every outcome.
func TestReportKeys(t *testing.T) {
	var doc bytes.Buffer
	l := sendings()["completed"]
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
		startedAt finishedAt recipients messages slices csv warnings errors errorCount previews`)
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

// What strangers wrote can't forge a line of the report or steer a terminal.
func TestTextIsOneLineForEach(t *testing.T) {
	l := sendings()["rejected"]
	l.s.Reference, l.s.Reason = "x\nDone: all sent\x1b[2J", "\u202eforged\r\n"
	l.s.Problems[0].Message = "a\nb\xff"
	var b strings.Builder
	if err := Text(&b, l.s, nil, l.counts); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "\x1b") || strings.Contains(b.String(), "\nDone") || strings.ContainsAny(b.String(), "\r\u202e") {
		t.Errorf("not clean:\n%q", b.String())
	}
}

func TestTextBeforeTheEnd(t *testing.T) {
	l := sendings()["completed-with-failures"]
	for i := range 30 { // more than are listed
		start := instantOf("09:40:00").Add(time.Duration(i) * 12 * time.Hour)
		l.slices = append(l.slices, campaign.Slice{Start: start, End: start.Add(12 * time.Hour), Recipients: 1})
	}
	l.counts[campaign.Pending], l.counts[campaign.InFlight], l.counts[campaign.Retrying] = 1234567, 2, 1
	var b strings.Builder
	for _, state := range []campaign.State{campaign.StateChecking, campaign.StateSending, campaign.StateHeld} {
		l.s.State, l.s.Reason = state, map[campaign.State]string{campaign.StateHeld: "the token was refused"}[state]
		if err := Text(&b, l.s, l.slices, l.counts); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "before-the-end", b.String())
}

// TestResultsLaw: one line for every row and message, refused rows among them,
// in order of line, over several chunks, and every cell as it came.
func TestResultsLaw(t *testing.T) {
	l := newLedger(campaign.StateCompleted)
	l.s.Messages, l.s.Channels = 3, []string{"cloud_api", "sms"}
	l.s.Contents = []campaign.Content{{Item: []byte(`{}`)}, {ChannelType: "cloud_api", Item: []byte(`{}`)}, {ChannelType: "cloud_api", Item: []byte(`{}`)}}
	type key struct {
		line, message string
	}
	contacts, want := map[string]string{}, map[key]bool{}
	line := uint32(2)
	for i := range 10_000 {
		contact := fmt.Sprintf("c%d,\"%d\"\n%c", i, i%7, rune('a'+i%26))
		text := fmt.Sprint(line)
		contacts[text] = contact
		switch {
		case i%9 == 0 || i < 3 || i > 9_990:
			l.refuse(line, campaign.Rejected, contact, "contactCode", "is bad, \"very\"")
			want[key{text, ""}] = true
		case i%11 == 0:
			l.refuse(line, campaign.Duplicate, contact, "", "again")
			want[key{text, ""}] = true
		case i%5 == 0:
			l.add(line, contact, 1, sentBy("p"), campaign.Sent)
			want[key{text, "1"}] = true
		default:
			l.add(line, contact, 0, sentBy("p"), campaign.Sent, campaign.Sent, campaign.Failed)
			for m := 1; m <= 3; m++ {
				want[key{text, fmt.Sprint(m)}] = true
			}
		}
		line += 1 + uint32(i%3) // blank lines and line breaks in cells
	}
	var b bytes.Buffer
	if err := Results(&b, l, l.s.ID); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(Header), ","), records[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	last := 0
	outcomes := map[string]uint64{}
	for _, r := range records[1:] {
		k := key{r[0], r[3]}
		if !want[k] {
			t.Fatalf("line %v is there twice or should not be", r)
		}
		delete(want, k)
		if r[1] != contacts[r[0]] {
			t.Fatalf("contact %q became %q", contacts[r[0]], r[1])
		}
		var n int
		if _, err := fmt.Sscan(r[0], &n); err != nil || n < last {
			t.Fatalf("line %d after %d", n, last)
		}
		last = n
		outcomes[r[4]]++
	}
	if len(want) > 0 {
		t.Errorf("%d lines are missing", len(want))
	}
	// The counts of report.json are the lines of results.csv.
	m := Report(l.s, nil, l.counts).Messages
	if m.Sent != outcomes["sent"] || m.Failed != outcomes["failed"] || m.Rejected != outcomes["rejected"] || m.Duplicate != outcomes["duplicate"] {
		t.Errorf("report.json counts %+v, results.csv has %v", m, outcomes)
	}
}

// A ledger that contradicts itself or fails is an error, never a short file.
func TestResultsErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, spoil := range map[string]func(*ledger){
		"marks":    func(l *ledger) { l.chunks[0].marks = l.chunks[0].marks[1:] },
		"channels": func(l *ledger) { l.chunks[0].rows.Channels[0] = 9 },
		"refusals": func(l *ledger) { l.err = broken },
	} {
		l := sendings()["completed"]
		spoil(l)
		dir := t.TempDir()
		if err := Write(dir, l, l.s.ID); !errors.Is(err, broken) && !errors.Is(err, errMarks) {
			t.Errorf("%s: %v", name, err)
		}
		if names, _ := os.ReadDir(dir); len(names) != 0 {
			t.Errorf("%s: %v was left", name, names)
		}
	}
}

type fullDisk struct{ room int }

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errors.New("no space")
	}
	return len(b), nil
}

func TestFullDisk(t *testing.T) {
	l := sendings()["completed-with-failures"]
	for room := range 700 {
		if err := Results(&fullDisk{room}, l, l.s.ID); err == nil {
			if room < len(Header) {
				t.Errorf("%d bytes were enough", room)
			}
			break
		}
	}
	if err := Text(&fullDisk{10}, l.s, l.slices, l.counts); err == nil {
		t.Error("a report of 10 bytes")
	}
	if err := encode(&fullDisk{10}, Report(l.s, nil, l.counts)); err == nil {
		t.Error("a document of 10 bytes")
	}
}
