package dashboard

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// hostileName would be markup where it isn't escaped.
const hostileName = `<script>alert(1)</script>"'&{{x}}`

// secretContact must be on no page.
const secretContact = "34666888999"

const (
	springID = campaign.ID("20260314-000042")
	trialID  = campaign.ID("20260314-000040")
)

// fakeDaemon answers what a daemon would about one moment.
type fakeDaemon struct {
	control.Service // what isn't here is not asked

	mu       sync.Mutex // guards all below
	sent     uint64
	state    campaign.State
	canceled bool // a cancel is in force; the state follows when nothing is in flight
	calls    []string
	looks    int
	fail     error
	status   func(*api.Status)
	more     int // sendings that ended
	pending  int // further scheduled sendings
}

func newFakeDaemon() *fakeDaemon { return &fakeDaemon{sent: 100, state: campaign.StateSending} }

// change changes what it answers.
func (s *fakeDaemon) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// spring is the sending whose state and progress the tests change.
func (s *fakeDaemon) spring() api.Sending {
	one := api.Sending{Drop: api.Drop{ID: springID, Name: "spring", Reference: "order 4711", State: s.state, ApplicationID: 1, CampaignID: 7,
		ReceivedAt: noon.Add(-time.Hour), ScheduledAt: noon, StartedAt: noon,
		Recipients: campaign.RowCounts{Total: 1010, Accepted: 1000, Rejected: 8, Duplicate: 2},
		Messages:   api.Messages{Planned: 1000, Pending: 990 - s.sent, Sent: s.sent, Failed: 7, Unknown: 2, InFlight: 1}},
		Inbox: "inbox", Condition: campaign.FragmentedSlots}
	if s.canceled {
		one.Messages.Pending, one.Messages.Canceled = 0, one.Messages.Pending
	}
	if s.state.Final() {
		one.Percent, one.FinishedAt = 100, noon
		return one
	}
	one.Percent, one.NextSliceAt, one.EstimatedEnd, one.Rate = one.Messages.PercentOf(), noon, noon.Add(time.Hour), 8
	one.WaitsFor = &campaign.WaitsFor{Reason: "channel cloud_api is held: the token is revoked", Since: noon, Until: noon.Add(time.Minute)}
	one.LastError = &api.MessageError{At: noon, Line: 12, ChannelType: "cloud_api", Outcome: "retrying", Error: "the receiver answered 500", Code: "500"}
	return one
}

func (s *fakeDaemon) Sendings(_ context.Context, f api.Filter) ([]api.Sending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	all := []api.Sending{
		{Drop: api.Drop{ID: "20260314-000045", Name: hostileName, State: campaign.StateRejected, Reason: "2 errors were found", FinishedAt: noon}, Percent: 100},
		{Drop: api.Drop{ID: "20260314-000044", Name: "later", State: campaign.StateScheduled, ApplicationID: 1, CampaignID: 7, Messages: api.Messages{Planned: 5, Pending: 5}},
			NextSliceAt: noon.Add(time.Hour)},
		{Drop: api.Drop{ID: "20260314-000043", Name: "sooner", State: campaign.StateScheduled, ApplicationID: 1, CampaignID: 7, ScheduledAt: noon.Add(time.Minute), Messages: api.Messages{Planned: 5, Pending: 5}}},
		s.spring(),
		{Drop: api.Drop{ID: "20260314-000041", Name: "reading", State: campaign.StateChecking, ReceivedAt: noon}, Percent: 40},
		trial(),
	}
	for i := range s.more {
		all = append(all, api.Sending{Drop: api.Drop{ID: campaign.NewID(noon, uint64(i+1000)), Name: fmt.Sprint("old-", i), State: campaign.StateCompleted, FinishedAt: noon, Messages: api.Messages{Planned: 4, Sent: 3, Failed: 1}}, Percent: 100})
	}
	for i := range s.pending {
		all = append(all, api.Sending{Drop: api.Drop{ID: campaign.NewID(noon, uint64(i+20000)), Name: fmt.Sprint("pending-", i), State: campaign.StateScheduled, ApplicationID: 1, CampaignID: 7, Messages: api.Messages{Planned: 5, Pending: 5}},
			NextSliceAt: noon.Add(time.Hour)})
	}
	list := slices.DeleteFunc(all, func(one api.Sending) bool {
		return !slices.Contains(f.States, one.State) || !strings.Contains(strings.ToLower(one.Name), strings.ToLower(f.Name))
	})
	list = list[min(f.Offset, len(list)):]
	if f.Limit > 0 {
		list = list[:min(f.Limit, len(list))]
	}
	return list, s.fail
}

func (s *fakeDaemon) Resolve(_ context.Context, _, text string) (campaign.ID, error) {
	return control.Match(text, []control.SendingName{{ID: springID, Name: "spring"}, {ID: trialID, Name: "trial"}, {ID: "20260314-000045", Name: hostileName}})
}

func (s *fakeDaemon) Sending(_ context.Context, id campaign.ID) (api.Details, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := api.Details{Sending: s.spring(), Sliced: true, AcceptedAt: noon, Channels: []string{"cloud_api"}, Folder: "inbox/accepted/spring." + string(id),
		CSV:      campaign.CSVInfo{Bytes: 5000, Encoding: "utf-8", Delimiter: "\t"},
		Errors:   []campaign.Problem{{File: hostileName, Line: 3, Column: 7, Field: "phone", Message: "is empty"}},
		Warnings: []campaign.Problem{{File: "spring.csv", Message: "is Windows-1252"}}, ErrorCount: 8,
	}
	for i := range 300 {
		start := noon.Add(time.Duration(i-1) * 5 * time.Minute)
		d.Slices = append(d.Slices, api.Slice{Start: start, End: start.Add(5 * time.Minute), Recipients: uint32(10 + i%3)})
	}
	switch id {
	case springID:
	case trialID:
		d = api.Details{Sending: trial(), Previews: []campaign.Preview{{Line: 2, ContactCode: secretContact, ChannelType: "cloud_api", Message: 1, Content: `{"body":"` + secretContact + `"}`}}}
	default:
		d = api.Details{Sending: api.Sending{Drop: api.Drop{ID: id, Name: hostileName, State: campaign.StateRejected}, Percent: 100}, Slices: []api.Slice{}}
	}
	return d, s.fail
}

func trial() api.Sending {
	return api.Sending{Drop: api.Drop{ID: trialID, Name: "trial", State: campaign.StateCompleted, FinishedAt: noon, ApplicationID: 1, CampaignID: 7}, DryRun: true, Percent: 100}
}

// steer does as asked while 3 messages are in flight.
func (s *fakeDaemon) steer(verb string, id campaign.ID, who string, do func()) (api.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf("%s %s by %s", verb, id, who))
	if s.fail != nil {
		return api.Change{}, s.fail
	}
	before := s.state
	do()
	return api.Change{ID: id, Name: "spring", From: before, State: s.state, InFlight: 3, Canceling: s.canceled, Canceled: s.spring().Messages.Canceled}, nil
}

func (s *fakeDaemon) Pause(_ context.Context, id campaign.ID, who string) (api.Change, error) {
	return s.steer("pause", id, who, func() { s.state = campaign.StatePaused })
}

func (s *fakeDaemon) Resume(_ context.Context, id campaign.ID, who string) (api.Change, error) {
	return s.steer("resume", id, who, func() { s.state = campaign.StateSending })
}

func (s *fakeDaemon) Cancel(_ context.Context, id campaign.ID, who string) (api.Change, error) {
	return s.steer("cancel", id, who, func() { s.canceled = true })
}

func (s *fakeDaemon) Timeline(context.Context, int64, int) (api.Timeline, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := api.ApplicationTimeline{ApplicationID: 1, Name: "Demo " + hostileName, Sliced: true, SlotSeconds: 60, Capacity: 100,
		Closed:   []api.Span{{Start: noon.Add(9 * time.Hour), End: noon.Add(20 * time.Hour)}},
		Sendings: []api.TimelineSending{{ID: springID, Name: "spring", State: campaign.StateSending, Sliced: true, Messages: 900, Slots: 10, Start: noon, End: noon.Add(time.Hour)}},
	}
	for i := range 8 { // more than can be listed beside a cell
		id := campaign.NewID(noon, uint64(100+i))
		a.Sendings = append(a.Sendings, api.TimelineSending{ID: id, Name: fmt.Sprint("n", i), State: campaign.StateScheduled, Sliced: true, Messages: 10, Slots: 1, Start: noon, End: noon})
	}
	for i := range 10 {
		use := api.SlotUse{Start: noon.Add(time.Duration(i) * time.Minute), Reserved: 100, Shares: []api.Share{{ID: springID, Messages: 60}, {ID: "20260313-000001", Messages: 5}}}
		for k := range 7 {
			use.Shares = append(use.Shares, api.Share{ID: campaign.NewID(noon, uint64(100+k)), Messages: 5})
		}
		a.Slots = append(a.Slots, use)
	}
	return api.Timeline{From: noon, Until: noon.Add(48 * time.Hour), Applications: []api.ApplicationTimeline{a,
		{ApplicationID: 2, Sendings: []api.TimelineSending{{ID: "20260314-000044", Name: "later", State: campaign.StateScheduled, Start: noon}}}, {ApplicationID: 3}}}, s.fail
}

func (s *fakeDaemon) Status(context.Context) (api.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := api.Status{Version: "1.2.3", StartedAt: noon, Now: noon, Sendings: map[campaign.State]int{campaign.StateSending: 1, campaign.StateScheduled: 2},
		Channels: []api.Channel{{ApplicationID: 1, ChannelType: "cloud_api", Driver: "outbox", Rate: 80, Current: 40, Concurrency: 16, State: api.ChannelOK}, {ApplicationID: 2, ChannelType: "mail", Driver: "smtp", State: api.ChannelOK}},
		Inboxes:  []api.Inbox{{Path: "inbox", Waiting: 1, LastScan: noon, Waits: []api.Wait{{Name: hostileName, Reason: "its layout must still come", Since: noon}}}},
		Queue:    api.Queue{Pending: 900, NextAt: noon}, Store: api.Store{Bytes: 1 << 20, DiskFree: 5 << 30},
	}
	if s.status != nil {
		s.status(&status)
	}
	return status, s.fail
}

func (s *fakeDaemon) Audit(context.Context, api.AuditFilter) ([]api.AuditEntry, error) {
	return []api.AuditEntry{{At: noon, Who: "user:ada", Action: "pause"}, {At: noon, Who: "file:inbox/" + hostileName + ".pause", Action: "pause"}}, nil
}

func (s *fakeDaemon) Throughput(context.Context, campaign.ID) (api.Throughput, error) {
	return api.Throughput{Start: noon, Step: time.Second, Steps: []api.ThroughputStep{{Sent: 8}, {}, {Sent: 4, Other: 2}}}, nil
}

// serve makes a dashboard of the shop.
func serve(t *testing.T, s *fakeDaemon) *Dashboard {
	t.Helper()
	d, err := New(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
