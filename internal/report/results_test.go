package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/campaign"

	"github.com/google/go-cmp/cmp"
)

// TestPagesQuoteTheHeader: programs of partners are written by these pages.
func TestPagesQuoteTheHeader(t *testing.T) {
	for _, name := range []string{"docs/contract.md", "docs/reports.md"} {
		page, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if want := "`" + strings.TrimSpace(Header) + "`"; !strings.Contains(string(page), want) {
			t.Errorf("%s lacks the header %s", name, want)
		}
	}
}

// TestEveryRowAndMessageHasOneLine: one line for every row and message, refused rows among them,
// in order of line, over several chunks, and every cell as it came.
func TestEveryRowAndMessageHasOneLine(t *testing.T) {
	l := newMemorySource(campaign.StateCompleted)
	l.s.Messages, l.s.Channels = 3, []string{"cloud_api", "sms"}
	l.s.Contents = []campaign.Content{{Item: []byte(`{}`)}, {ChannelType: "cloud_api", Item: []byte(`{}`)}, {ChannelType: "cloud_api", Item: []byte(`{}`)}}
	type key struct {
		line, message string
	}
	contacts, want := map[string]string{}, map[key]bool{}
	expect := func(line string, messages int) {
		for m := range messages {
			want[key{line, fmt.Sprint(m + 1)}] = true
		}
	}
	line := uint32(2)
	for i := range 10_000 {
		contact := fmt.Sprintf("c%d,\"%d\"\n%c", i, i%7, rune('a'+i%26))
		text := fmt.Sprint(line)
		contacts[text] = contact
		switch {
		case i%9 == 0 || i < 3 || i > 9_990:
			l.refuse(line, campaign.Rejected, contact, "contactCode", "is bad, \"very\"")
			expect(text, 3)
		case i%11 == 0:
			l.refuse(line, campaign.Duplicate, contact, "", "again")
			expect(text, 3)
		case i%5 == 0:
			l.add(line, contact, 1, sentBy("p"), campaign.Sent)
			expect(text, 1)
		default:
			l.add(line, contact, 0, sentBy("p"), campaign.Sent, campaign.Sent, campaign.Failed)
			expect(text, 3)
		}
		line += 1 + uint32(i%3) // blank lines and line breaks in cells
	}
	var b bytes.Buffer
	if err := Results(&b, l, l.s.ID, Selection{}); err != nil {
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
		switch _, err := fmt.Sscan(r[0], &n); {
		case err != nil:
			t.Fatal(err)
		case n < last:
			t.Fatalf("n = %v, want at least %v", n, last)
		}
		last = n
		outcomes[r[4]]++
	}
	if len(want) > 0 {
		t.Errorf("%d lines are missing", len(want))
	}
	// The counts of report.json are the lines of results.csv.
	m := Report(l.s, nil, l.counts).Messages
	switch {
	case m.Sent != outcomes["sent"]:
		t.Errorf("m.Sent: got %v, want %v", m.Sent, outcomes["sent"])
	case m.Failed != outcomes["failed"]:
		t.Errorf("m.Failed: got %v, want %v", m.Failed, outcomes["failed"])
	case m.Rejected != outcomes["rejected"]:
		t.Errorf("m.Rejected: got %v, want %v", m.Rejected, outcomes["rejected"])
	case m.Duplicate != outcomes["duplicate"]:
		t.Errorf("m.Duplicate: got %v, want %v", m.Duplicate, outcomes["duplicate"])
	}
}

// A ledger that contradicts itself or fails is an error, never a short file.
func TestResultsErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, spoil := range map[string]func(*memorySource){
		"marks":    func(l *memorySource) { l.chunks[0].marks = l.chunks[0].marks[1:] },
		"channels": func(l *memorySource) { l.chunks[0].rows.Channels[0] = 9 },
		"refusals": func(l *memorySource) { l.err = broken },
	} {
		l := sendings()["completed"]
		spoil(l)
		dir := t.TempDir()
		if err := Write(dir, l, l.s.ID, nil); !errors.Is(err, broken) && !errors.Is(err, errStatuses) {
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
		if err := Results(&fullDisk{room}, l, l.s.ID, Selection{}); err == nil {
			if room < len(Header) {
				t.Errorf("%d bytes were enough", room)
			}
			break
		}
	}
	if err := writeText(&fullDisk{10}, nil, l.s, l.slices, l.counts, nil); err == nil {
		t.Error("a report of 10 bytes")
	}
	if err := encode(&fullDisk{10}, Report(l.s, nil, l.counts)); err == nil {
		t.Error("a document of 10 bytes")
	}
}

// TestResultsHaveTheRowsReference: the last columns are the row's reference and the contact
// as it was sent to.
func TestResultsHaveTheRowsReference(t *testing.T) {
	var b bytes.Buffer
	s := &campaign.Sending{Channels: []string{"wa"}, Messages: 1, Variables: []string{"name", campaign.ReferenceVariable}}
	var rows campaign.Rows
	rows.Reset(0, 2)
	rows.Lines, rows.Channels = append(rows.Lines, 2), append(rows.Channels, 0)
	rows.Contacts.AppendString("600 000 001")
	rows.Normal.AppendString("34600000001")
	rows.Values[0].AppendString("Ana")
	rows.Values[1].AppendString("order,77")
	w := resultsWriter{w: &b, s: s, messages: []int{1}}
	if err := w.chunk(&rows, []campaign.MessageStatus{campaign.NewMessageStatus(campaign.Sent, 1)}, nil); err != nil {
		t.Fatal(err)
	}
	w.appendRefused(&campaign.Refusal{Line: 3, Outcome: campaign.Rejected, ContactCode: "x", ChannelType: "wa", Reason: "no", Reference: "order,78"}, 1)
	if err := w.flush(0); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "2,600 000 001,wa,1,sent,1,,,,,,\"order,77\",34600000001\n3,x,wa,1,rejected,0,,,no,,,\"order,78\",\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A program that reads JSON wants the contact as the partner wrote it.
func TestPlainCellsHaveNoApostrophe(t *testing.T) {
	l := newMemorySource(campaign.StateCompleted)
	l.add(2, "=1+1", 0, sentBy("a"), campaign.Sent)
	l.add(3, "'=1", 0, failedWith(1, "422", "no"), campaign.Failed)
	for _, c := range []struct {
		what Selection
		want string
	}{
		{Selection{}, "2,'=1+1,3,'=1,"},
		{Selection{Plain: true}, "2,=1+1,3,'=1,"},
		{Selection{Plain: true, Outcomes: []campaign.Outcome{campaign.Sent}}, "2,=1+1,"},
	} {
		var b strings.Builder
		if err := Results(&b, l, l.s.ID, c.what); err != nil {
			t.Fatal(err)
		}
		got := ""
		for line := range strings.Lines(strings.TrimPrefix(b.String(), Header)) {
			cells := strings.SplitN(line, ",", 3)
			got += cells[0] + "," + cells[1] + ","
		}
		if got != c.want {
			t.Errorf("%+v: lines and contacts are %q; want %q", c.what, got, c.want)
		}
	}
}
