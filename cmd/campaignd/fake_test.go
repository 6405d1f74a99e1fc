package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// shop is a Service with a story: one sending goes out, one waits, one is held,
// one is over; a partner's name and reference try to play with the terminal.
type shop struct {
	control.Service // what isn't here is not asked by these tests

	mu      sync.Mutex // guards looks, list
	looks   int        // how often Sendings was asked
	nothing bool       // a daemon that was just started
	broken  bool       // the backup breaks in the middle
}

func (s *shop) spring() api.Sending {
	return api.Sending{Drop: api.Drop{ID: "20260314-000042", Name: "spring", Reference: "order \x1b[31m7\u202e", State: campaign.StateSending, ApplicationID: 1, CampaignID: 7,
		ReceivedAt: noon.Add(-time.Hour), ScheduledAt: noon.Add(-30 * time.Minute), StartedAt: noon.Add(-30 * time.Minute),
		Recipients: campaign.RowCounts{Total: 12500, Accepted: 12000, Rejected: 400, Duplicate: 100},
		Messages:   api.Messages{Planned: 12000, Pending: 8390, InFlight: 6, Retrying: 4, Sent: 3500, Failed: 80, Unknown: 20, Rejected: 400, Duplicate: 100}},
		Inbox: "inbox", Condition: campaign.FragmentedSlots, Percent: 30, NextSliceAt: noon.Add(5 * time.Minute), EstimatedEnd: noon.Add(70 * time.Minute), Rate: 2}
}

func (s *shop) others() []api.Sending {
	return []api.Sending{
		{Drop: api.Drop{ID: "20260314-000043", Name: "evil\x1b]0;owned\x07name", State: campaign.StateScheduled, ApplicationID: 1, CampaignID: 8, ScheduledAt: noon.Add(3 * time.Hour), Messages: api.Messages{Planned: 900, Pending: 900}},
			Inbox: "inbox", NextSliceAt: noon.Add(3 * time.Hour)},
		{Drop: api.Drop{ID: "20260314-000041", Name: "winter", State: campaign.StateHeld, Reason: "the template is paused; resume when it is approved", ApplicationID: 2, CampaignID: 1, Messages: api.Messages{Planned: 10, Pending: 3, Sent: 6, Expired: 1}},
			Inbox: "inbox", Percent: 60},
	}
}

func (s *shop) done() api.Sending {
	return api.Sending{Drop: api.Drop{ID: "20260313-000040", Name: "autumn", State: campaign.StateCompleted, ApplicationID: 1, CampaignID: 7, FinishedAt: noon.Add(-20 * time.Hour), Messages: api.Messages{Planned: 3, Sent: 3}},
		Inbox: "inbox", Percent: 100}
}

func (s *shop) Sendings(_ context.Context, f api.Filter) ([]api.Sending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if s.nothing {
		return nil, nil
	}
	spring := s.spring()
	if s.looks > 1 { // one look later, it is farther
		spring.Messages.Pending -= 600
		spring.Messages.Sent += 600
		spring.Percent = 35
	}
	list := append([]api.Sending{spring}, s.others()...)
	if len(f.States) == 0 {
		list = append(list, s.done())
	}
	return list, nil
}

func (s *shop) Resolve(_ context.Context, _, text string) (campaign.ID, error) {
	known := []control.SendingName{{ID: "20260313-000040", Name: "autumn"}, {ID: "20260313-000039", Name: "trial"}}
	for _, one := range append(s.others(), s.spring()) {
		known = append(known, control.SendingName{ID: one.ID, Name: one.Name})
	}
	return control.Match(text, known)
}

func (s *shop) Sending(_ context.Context, id campaign.ID) (api.Details, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	switch id {
	case "20260313-000040":
		return api.Details{Sending: s.done()}, nil
	case "20260314-000042":
		return s.details(), nil
	case "20260313-000039":
		return api.Details{Sending: api.Sending{Drop: api.Drop{ID: id, Name: "trial", State: campaign.StateCompleted, ApplicationID: 1, CampaignID: 7, FinishedAt: noon.Add(-21 * time.Hour)}, DryRun: true, Percent: 100},
			Previews: []campaign.Preview{{Line: 2, ContactCode: "34666", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hi"}`}}}, nil
	}
	return api.Details{}, api.NotFoundf("there is no sending %s", id)
}

func (s *shop) details() api.Details {
	d := api.Details{
		Sending: s.spring(), Sliced: true, AcceptedAt: noon.Add(-59 * time.Minute), Channels: []string{"cloud_api", "sms"},
		CSV: campaign.CSVInfo{Bytes: 1 << 20, SHA256: "5f70bf18", Encoding: "utf-8", Delimiter: "\t"}, Folder: "inbox/accepted/spring.20260314-000042",
		Warnings:   []campaign.Problem{{File: "spring.layout.json", Line: 4, Column: 3, Field: "sendType", Message: "belongs to the campaign and is ignored"}},
		Errors:     []campaign.Problem{{File: "spring.csv", Line: 9, Field: "phone", Message: "a spreadsheet ruined the number"}},
		ErrorCount: 400,
	}
	d.Delivery = &campaign.DeliveryCounts{Delivered: 2100, Read: 812, Failed: 9}
	for i := range 30 {
		start := noon.Add(time.Duration(i-6) * 5 * time.Minute)
		d.Slices = append(d.Slices, api.Slice{Start: start, End: start.Add(5 * time.Minute), Recipients: 400})
	}
	return d
}

func (s *shop) Status(context.Context) (api.Status, error) {
	status := api.Status{Version: "1.2.3", PID: 4711, StartedAt: noon.Add(-50 * time.Hour), Now: noon, ConfigFile: "configs/campaignd.toml",
		Store: api.Store{Path: "var/campaignd.db", Bytes: 48 << 20, FreeBytes: 3 << 20, DiskFree: 90 << 30}}
	if s.nothing {
		return status, nil
	}
	status.ConfigProblem = "configs/campaignd.toml:9:1: unknown key \"raet\": \"rate\" is the nearest"
	status.Stopping = true
	status.Sendings = map[campaign.State]int{campaign.StateSending: 1, campaign.StateScheduled: 1, campaign.StateHeld: 1, campaign.StateCompleted: 1}
	status.Queue = api.Queue{Pending: 9294, InFlight: 6, Retrying: 4, NextAt: noon.Add(time.Second)}
	status.Inboxes = []api.Inbox{
		{Path: "inbox", Waiting: 1, Checking: 2, Others: 3, Waits: []api.Wait{{Name: "late", Reason: "its layout has not come", Since: noon.Add(-7 * time.Minute)}}},
		{Path: "/srv/partner", Problem: "it isn't there"},
	}
	status.Channels = []api.Channel{
		{ApplicationID: 1, ChannelType: "cloud_api", Driver: "outbox", Rate: 80, Current: 40, Concurrency: 16, InFlight: 6, State: api.ChannelOK},
		{ApplicationID: 1, ChannelType: "sms", Driver: "webhook", State: api.ChannelHeld, Reason: "the password is wrong: see password_file", Since: noon,
			Held: true, HeldReason: "the password is wrong: see password_file", HeldSince: noon, NextTryAt: noon.Add(time.Minute)},
		{ApplicationID: 2, ChannelType: "cloud_api", Driver: "outbox", Rate: 2.5, State: api.ChannelThrottled, Reason: "429 Too Many Requests", Since: noon},
	}
	return status, nil
}

func (s *shop) Pause(_ context.Context, id campaign.ID, _ string) (api.Change, error) {
	return api.Change{ID: id, Name: "spring", From: campaign.StateSending, State: campaign.StatePaused, InFlight: 6}, nil
}

func (s *shop) Resume(_ context.Context, id campaign.ID, _ string) (api.Change, error) {
	return api.Change{}, api.Conflictf("can't resume sending %s: it is sending", id)
}

func (s *shop) Cancel(_ context.Context, id campaign.ID, _ string) (api.Change, error) {
	return api.Change{ID: id, Name: "spring", From: campaign.StateSending, State: campaign.StateSending, Canceling: true, Canceled: 8394, InFlight: 6}, nil
}

func (s *shop) ResumeAll(context.Context, string) ([]api.Change, error) {
	if s.nothing {
		return nil, nil
	}
	return []api.Change{{ID: "20260314-000041", Name: "winter", From: campaign.StateHeld, State: campaign.StateSending}}, nil
}

func (s *shop) SendTest(_ context.Context, m api.TestMessage, _ string) (api.TestResult, error) {
	r := api.TestResult{Key: "test-1", ChannelType: m.ChannelType, Driver: "webhook", Traced: true, Outcome: "sent", ProviderID: "p-7", Request: "POST /\n\nHello " + m.Variables["name"] + "\n", Reply: "200 OK\n"}
	if m.ContactCode == "346" {
		r.Outcome, r.ProviderID, r.Code, r.Detail, r.Reply = "failed", "", "400", "the receiver refused it", ""
	}
	return r, nil
}

func (s *shop) ResumeChannel(_ context.Context, ch api.ChannelResume, _ string) ([]api.ResumedChannel, error) {
	return []api.ResumedChannel{{ApplicationID: 1, ChannelType: ch.ChannelType, From: api.ChannelHeld, Resumed: true},
		{ApplicationID: 2, ChannelType: ch.ChannelType, From: api.ChannelOK}}, nil
}

func (s *shop) Resend(_ context.Context, id campaign.ID, outcomes []api.ResendOutcome, dryRun bool, _ string) (api.Resent, error) {
	if !slices.Contains(outcomes, api.ResendFailed) {
		return api.Resent{ID: id, Name: "spring", State: campaign.StateSending, DryRun: dryRun, Left: api.NotResent{Expired: 3}}, nil
	}
	return api.Resent{ID: id, Name: "spring", State: campaign.StateSending, Messages: 101, Failed: 80, Unknown: 20, Skipped: 1, DryRun: dryRun, Left: api.NotResent{Failed: 2, Suppressed: 1}}, nil
}

func (s *shop) Results(_ context.Context, _ campaign.ID, f api.ResultsFilter, w io.Writer) error {
	_, err := io.WriteString(w, "line,outcome\n")
	for _, o := range f.Outcomes {
		_, lineErr := io.WriteString(w, "2,"+o.String()+"\n")
		err = errors.Join(err, lineErr)
	}
	return err
}

func (s *shop) Timeline(context.Context, int64, int) (api.Timeline, error) {
	t := api.Timeline{From: noon.Add(7 * time.Minute), Until: noon.Add(7*time.Minute + 48*time.Hour)}
	one := api.ApplicationTimeline{ApplicationID: 1, Name: "Demo shop", Timezone: "Europe/Madrid", Sliced: true, SlotSeconds: 300, Capacity: 600}
	for i, reserved := range []uint32{600, 600, 450, 300, 100, 0, 599} {
		if reserved > 0 {
			one.Slots = append(one.Slots, api.SlotUse{Start: noon.Add(time.Duration(i+1) * 5 * time.Minute), Reserved: reserved,
				Shares: []api.Share{{ID: "20260314-000042", Messages: reserved}}})
		}
	}
	one.Closed = []api.Span{{Start: noon.Add(8 * time.Hour), End: noon.Add(20 * time.Hour)}}
	one.Sendings = []api.TimelineSending{
		{ID: "20260314-000042", Name: "spring", State: campaign.StateSending, Sliced: true, Messages: 8400, Slots: 21, Start: noon.Add(10 * time.Minute), End: noon.Add(70 * time.Minute)},
		{ID: "20260314-000043", Name: "evil\x1bname", State: campaign.StateScheduled, Messages: 900, Start: noon.Add(3 * time.Hour)},
	}
	second := api.ApplicationTimeline{ApplicationID: 2}
	third := api.ApplicationTimeline{ApplicationID: 3, Timezone: "No/Where", Sliced: true, SlotSeconds: 7, Capacity: 10,
		Slots: []api.SlotUse{{Start: time.Unix(noon.Add(time.Hour).Unix()/7*7, 0).UTC(), Reserved: 10}}}
	t.Applications = []api.ApplicationTimeline{one, second, third}
	return t, nil
}

func (s *shop) AddOptOuts(_ context.Context, list []api.OptOut, _ string) (int, error) {
	return len(list) - 1, nil
}

func (s *shop) RemoveOptOuts(_ context.Context, list []api.OptOut, _ string) (int, error) {
	return len(list), nil
}

func (s *shop) OptOuts(_ context.Context, _ int64, yield func(api.OptOut) error) error {
	return errors.Join(yield(api.OptOut{ApplicationID: 1, ContactCode: "34666777888", At: noon, Source: "stop.suppress.csv"}),
		yield(api.OptOut{ApplicationID: 1, ChannelType: "sms", ContactCode: "34666555666", At: noon, Source: "command"}))
}

func (s *shop) Forget(context.Context, string, string) (api.Forgotten, error) {
	return api.Forgotten{Suppressed: 2, Unknown: 1, Sendings: 3, Files: 5}, nil
}

func (s *shop) ImportOptOuts(_ context.Context, _ int64, csv io.Reader, _ string) (api.Imported, error) {
	data, err := io.ReadAll(csv)
	if string(data) == "contactCode\n1\n" {
		return api.Imported{Rows: 1, Added: 1}, err
	}
	return api.Imported{Rows: 1200, Added: 1000, Rejected: 1, Problems: []campaign.Problem{{File: "list", Line: 7, Message: "the contact code is empty"}}}, err
}

func (s *shop) Audit(context.Context, api.AuditFilter) ([]api.AuditEntry, error) {
	if s.nothing {
		return nil, nil
	}
	return []api.AuditEntry{{At: noon, Who: "user:ada", Action: "pause", Sending: "20260314-000042"}, {At: noon.Add(-time.Hour), Who: "file:inbox/stop.cancel", Action: "cancel", Sending: "20260314-000001"}}, nil
}

func (s *shop) Doctor(_ context.Context, deep bool) ([]api.Finding, error) {
	list := []api.Finding{{Check: "store", Level: api.LevelOK, Message: "its counts are consistent"},
		{Check: "clock", Level: api.LevelWarn, Message: "the newest sending was received in the future: the clock was set back", Advice: "check that the time is synchronized"},
		{Check: "channel", Level: api.LevelWarn, Message: "sms of application 1 is throttled: 429 Too Many Requests", Advice: "it is tried again automatically", Since: noon, NextTryAt: noon.Add(time.Minute)}}
	if deep {
		list[0] = api.Finding{Check: "store", Level: api.LevelFail, Message: "sending 20260314-000042: 12,000 messages are planned, 11,999 counted", Advice: "keep a copy of the file, stop the daemon and restore the newest backup"}
	}
	return list, nil
}

func (s *shop) Templates(context.Context, int64, string) ([]api.ChannelTemplates, error) {
	return nil, nil
}

func (s *shop) Backup(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "the store")
	if s.broken {
		return errors.New("the disk is on fire")
	}
	return err
}

func (s *shop) Compact(context.Context, string) (api.Compacted, error) {
	if s.broken {
		return api.Compacted{}, api.Conflictf("a backup, a deep check or a compaction is at work; try again when it has ended")
	}
	return api.Compacted{BytesBefore: 48 << 20, BytesAfter: 11 << 20, Seconds: 1.25, HeldSeconds: 1.25}, nil
}

func (s *shop) Handover(context.Context, string) (api.Handover, error) {
	return api.Handover{}, api.Conflictf("there is no standby: the configuration has no table [nats]")
}

func (s *shop) Reload(context.Context, string) error {
	if s.nothing {
		return nil
	}
	return &api.Error{Code: api.CodeInvalid, Message: "the configuration is invalid; the old one stays in force", Problems: []campaign.Problem{{File: "campaignd.toml", Line: 9, Column: 1, Field: "raet", Message: "unknown key"}}}
}

func (s *shop) Upload(context.Context, api.UploadRequest, func() (*api.UploadPart, error), string) (api.Uploaded, error) {
	return api.Uploaded{}, nil
}
