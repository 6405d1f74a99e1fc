package report

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"campaignd/internal/campaign"
)

// ledger is a Source with one sending.
type memorySource struct {
	s        *campaign.Sending
	slices   []campaign.Slice
	counts   campaign.Counts
	refusals []campaign.Refusal
	chunks   []chunk
	receipts []campaign.Delivery
	replies  []campaign.Reply
	err      error // of EachRefusal and EachChunk
}

type chunk struct {
	rows    *campaign.Rows
	marks   []campaign.MessageStatus
	entries []campaign.Entry
}

func (l *memorySource) Load(id campaign.ID) (*campaign.Sending, []campaign.Slice, campaign.Counts, error) {
	if id != l.s.ID {
		return nil, nil, campaign.Counts{}, fs.ErrNotExist
	}
	return l.s, l.slices, l.counts, nil
}

func (l *memorySource) EachRefusal(_ campaign.ID, fn func(campaign.Refusal) error) error {
	for _, r := range l.refusals {
		if err := fn(r); err != nil {
			return err
		}
	}
	return l.err
}

func (l *memorySource) Deliveries(_ campaign.ID, first, last uint32) ([]campaign.Delivery, error) {
	var list []campaign.Delivery
	for _, d := range l.receipts {
		if d.Line >= first && d.Line <= last {
			list = append(list, d)
		}
	}
	return list, nil
}

func (l *memorySource) EachReply(_ campaign.ID, fn func(campaign.Reply) error) error {
	for _, r := range l.replies {
		if err := fn(r); err != nil {
			return err
		}
	}
	return l.err
}

func (l *memorySource) EachChunk(_ campaign.ID, fn func(*campaign.Rows, []campaign.MessageStatus, []campaign.Entry) error) error {
	for _, c := range l.chunks {
		if err := fn(c.rows, c.marks, c.entries); err != nil {
			return err
		}
	}
	return nil
}

// add appends a recipient; outcomes has an outcome for each message of its channel.
func (l *memorySource) add(line uint32, contact string, channel uint8, details func(m int) campaign.Entry, outcomes ...campaign.Outcome) {
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
			c.marks = append(c.marks, campaign.NewMessageStatus(campaign.Skipped, 0))
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
		c.marks = append(c.marks, campaign.NewMessageStatus(o, attempts))
	}
	l.s.Rows.Total++
	l.s.Rows.Accepted++
}

func (l *memorySource) refuse(line uint32, o campaign.Outcome, contact, column, why string) {
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

// newLedger returns an accepted sending that has ended, without rows.
func newMemorySource(state campaign.State) *memorySource {
	return &memorySource{s: &campaign.Sending{
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

// sendings has every way in which a drop can end, and some unfinished ones.
func sendings() map[string]*memorySource {
	all := map[string]*memorySource{}
	slots := []campaign.Slice{
		{Start: instantOf("09:30:00"), End: instantOf("09:35:00"), First: 0, Rows: 2, Recipients: 2},
		{Start: instantOf("09:35:00"), End: instantOf("09:40:00"), First: 2, Rows: 1, Recipients: 1},
	}

	l := newMemorySource(campaign.StateCompleted)
	l.slices = []campaign.Slice{{Start: l.s.ScheduledAt, Rows: 3, Recipients: 3}}
	for i := range 3 {
		l.add(uint32(i+2), fmt.Sprintf("3466677788%d", i), 0, sentBy("wamid."+fmt.Sprint(i)), campaign.Sent)
	}
	all["completed"] = l

	l = newMemorySource(campaign.StateCompleted)
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

	l = newMemorySource(campaign.StateCompleted)
	l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent)
	l.refuse(3, campaign.Rejected, "", "contactCode", "is empty")
	all["completed-rows-rejected"] = l

	l = newMemorySource(campaign.StateCompleted)
	l.s.Receipts, l.s.Delivery, l.s.ReceiptVersion = true, campaign.DeliveryCounts{Delivered: 1, Read: 1, Failed: 1}, 3
	for i := range 4 {
		l.add(uint32(2*i+2), fmt.Sprintf("3466677788%d", i), 0, sentBy("wamid."+fmt.Sprint(i)), campaign.Sent)
	}
	l.refuse(5, campaign.Duplicate, "34666777880", "", "the same contact is on line 2")
	l.add(11, "34666777889", 0, failedWith(1, "131026", "message undeliverable"), campaign.Failed)
	l.receipts = []campaign.Delivery{
		{Line: 2, Message: 1, State: campaign.Read, At: instantOf("10:00:00")},
		{Line: 4, Message: 1, State: campaign.Undelivered, At: instantOf("10:01:00"), Code: "131026", Detail: "no such number, \"here\""},
		{Line: 8, Message: 1, State: campaign.Delivered},
	}
	l.replies = []campaign.Reply{
		{Line: 4, ContactCode: "34666777881", Reference: "order 2", At: instantOf("09:50:00.25"), Type: "text", Text: "=1+1, \"yes\"\nplease"},
		{Line: 2, ContactCode: "34666777880", At: instantOf("09:51:00"), Type: "button", Text: "Stop"},
	}
	all["completed-with-deliveries"] = l

	l = newMemorySource(campaign.StateCompleted)
	l.add(2, "34666777888", 0, failedWith(6, "500", "out of order"), campaign.Failed)
	l.add(3, "34666777889", 0, failedWith(6, "500", "out of order"), campaign.Failed)
	all["completed-none-sent"] = l

	l = newMemorySource(campaign.StateCompleted)
	l.s.DryRun, l.s.Sliced, l.slices = true, true, slots
	l.s.StartedAt = time.Time{}
	l.s.Rows, l.s.Planned = campaign.RowCounts{Total: 3, Accepted: 3}, 3
	l.s.Previews = []campaign.Preview{
		{Line: 2, ContactCode: "34666777888", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello John <3"}`},
		{Line: 3, ContactCode: "34666555666", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hello Jane"}`},
	}
	all["dry-run"] = l

	l = newMemorySource(campaign.StateCanceled)
	l.s.StartedAt, l.s.Reason = time.Time{}, "by spring.cancel"
	l.add(2, "34666777888", 0, nil, campaign.Canceled)
	l.add(3, "34666777889", 0, nil, campaign.Canceled)
	all["canceled-before"] = l

	l = newMemorySource(campaign.StateCanceled)
	l.s.Reason = "by the operator"
	l.add(2, "34666777888", 0, sentBy("a"), campaign.Sent)
	l.add(3, "34666777889", 0, failedWith(1, "", "no answer within 10s"), campaign.Unknown)
	l.add(4, "34666777890", 0, nil, campaign.Canceled)
	all["canceled-after"] = l

	l = newMemorySource(campaign.StateCanceled)
	l.s.AcceptedAt, l.s.StartedAt = time.Time{}, time.Time{}
	l.s.Condition = campaign.ImmediateConsecutiveSlots
	l.s.Reason = "there is no room for 3 recipients from 09:30 on: the run of slots with room ends after 2; fragmentedSlots would have fitted"
	for i := range 3 {
		l.add(uint32(i+2), fmt.Sprintf("3466677788%d", i), 0, nil, campaign.Canceled)
	}
	all["no-room"] = l

	reject := func(reason string) *memorySource {
		l := newMemorySource(campaign.StateRejected)
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
