package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

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

func (s *shop) spring() control.Sending {
	return control.Sending{
		ID: "20260314-000042", Name: "spring", Reference: "order \x1b[31m7\u202e", Inbox: "inbox", State: campaign.StateSending,
		ApplicationID: 1, CampaignID: 7, Condition: campaign.FragmentedSlots,
		ReceivedAt: noon.Add(-time.Hour), ScheduledAt: noon.Add(-30 * time.Minute), StartedAt: noon.Add(-30 * time.Minute),
		Recipients: campaign.RowCounts{Total: 12500, Accepted: 12000, Rejected: 400, Duplicate: 100},
		Messages:   control.Messages{Planned: 12000, Pending: 8390, InFlight: 6, Retrying: 4, Sent: 3500, Failed: 80, Unknown: 20, Rejected: 400, Duplicate: 100},
		Percent:    30, NextSliceAt: noon.Add(5 * time.Minute), EstimatedEnd: noon.Add(70 * time.Minute), Rate: 2,
	}
}

func (s *shop) others() []control.Sending {
	return []control.Sending{
		{ID: "20260314-000043", Name: "evil\x1b]0;owned\x07name", Inbox: "inbox", State: campaign.StateScheduled, ApplicationID: 1, CampaignID: 8,
			ScheduledAt: noon.Add(3 * time.Hour), NextSliceAt: noon.Add(3 * time.Hour), Messages: control.Messages{Planned: 900, Pending: 900}},
		{ID: "20260314-000041", Name: "winter", Inbox: "inbox", State: campaign.StateHeld, Reason: "the template is paused; resume when it is approved",
			ApplicationID: 2, CampaignID: 1, Messages: control.Messages{Planned: 10, Pending: 4, Sent: 6}, Percent: 60},
	}
}

func (s *shop) done() control.Sending {
	return control.Sending{ID: "20260313-000040", Name: "autumn", Inbox: "inbox", State: campaign.StateCompleted, ApplicationID: 1, CampaignID: 7,
		FinishedAt: noon.Add(-20 * time.Hour), Messages: control.Messages{Planned: 3, Sent: 3}, Percent: 100}
}

func (s *shop) Sendings(_ context.Context, f control.Filter) ([]control.Sending, error) {
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
	list := append([]control.Sending{spring}, s.others()...)
	if len(f.States) == 0 {
		list = append(list, s.done())
	}
	return list, nil
}

func (s *shop) Resolve(_ context.Context, _, text string) (campaign.ID, error) {
	known := []control.SendingName{{ID: "20260313-000040", Name: "autumn"}}
	for _, one := range append(s.others(), s.spring()) {
		known = append(known, control.SendingName{ID: one.ID, Name: one.Name})
	}
	return control.Match(text, known)
}

func (s *shop) Sending(_ context.Context, id campaign.ID) (control.Details, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	switch id {
	case "20260313-000040":
		return control.Details{Sending: s.done()}, nil
	case "20260314-000042":
		return s.details(), nil
	}
	return control.Details{}, control.NotFoundf("it has been removed")
}

func (s *shop) details() control.Details {
	d := control.Details{
		Sending: s.spring(), Sliced: true, AcceptedAt: noon.Add(-59 * time.Minute), Channels: []string{"cloud_api", "sms"},
		CSV: campaign.CSVInfo{Bytes: 1 << 20, SHA256: "5f70bf18", Encoding: "utf-8", Delimiter: "\t"}, Folder: "inbox/accepted/spring.20260314-000042",
		Warnings:   []campaign.Problem{{File: "spring.layout.json", Line: 4, Column: 3, Field: "sendType", Message: "belongs to the campaign and is ignored"}},
		Errors:     []campaign.Problem{{File: "spring.csv", Line: 9, Field: "phone", Message: "a spreadsheet ruined the number"}},
		ErrorCount: 400, Delivery: &campaign.DeliveryCounts{Delivered: 3100, Read: 812, Failed: 9},
		Previews: []campaign.Preview{{Line: 2, ContactCode: "34666", ChannelType: "cloud_api", Message: 1, Content: `{"body":"Hi"}`}},
	}
	for i := range 30 {
		start := noon.Add(time.Duration(i-6) * 5 * time.Minute)
		d.Slices = append(d.Slices, control.Slice{Start: start, End: start.Add(5 * time.Minute), Recipients: 400})
	}
	return d
}

func (s *shop) Status(context.Context) (control.Status, error) {
	status := control.Status{Version: "1.2.3", PID: 4711, StartedAt: noon.Add(-50 * time.Hour), Now: noon, ConfigFile: "configs/campaignd.toml",
		Store: control.Store{Path: "var/campaignd.db", Bytes: 48 << 20, FreeBytes: 3 << 20, DiskFree: 90 << 30}}
	if s.nothing {
		return status, nil
	}
	status.ConfigProblem = "configs/campaignd.toml:9:1: unknown key \"raet\": \"rate\" is the nearest"
	status.Stopping = true
	status.Sendings = map[campaign.State]int{campaign.StateSending: 1, campaign.StateScheduled: 1, campaign.StateHeld: 1, campaign.StateCompleted: 1}
	status.Queue = control.Queue{Pending: 9294, InFlight: 6, Retrying: 4, NextAt: noon.Add(time.Second)}
	status.Inboxes = []control.Inbox{
		{Path: "inbox", Waiting: 1, Checking: 2, Others: 3, Waits: []control.Wait{{Name: "late", Reason: "its layout has not come", Since: noon.Add(-7 * time.Minute)}}},
		{Path: "/srv/partner", Problem: "it isn't there"},
	}
	status.Channels = []control.Channel{
		{ApplicationID: 1, ChannelType: "cloud_api", Driver: "outbox", Rate: 80, Current: 40, Concurrency: 16, InFlight: 6, State: control.ChannelOK},
		{ApplicationID: 1, ChannelType: "sms", Driver: "webhook", State: control.ChannelHeld, Reason: "the password is wrong: see password_file", Held: true, HeldReason: "the password is wrong: see password_file", NextTryAt: noon.Add(time.Minute)},
		{ApplicationID: 2, ChannelType: "cloud_api", Driver: "outbox", Rate: 2.5, State: control.ChannelThrottled, Reason: "429 Too Many Requests", Since: noon},
	}
	return status, nil
}

func (s *shop) change(id campaign.ID, from, to campaign.State) (control.Change, error) {
	return control.Change{ID: id, Name: "spring", From: from, State: to, InFlight: 6}, nil
}

func (s *shop) Pause(_ context.Context, id campaign.ID, _ string) (control.Change, error) {
	return s.change(id, campaign.StateSending, campaign.StatePaused)
}

func (s *shop) Resume(_ context.Context, id campaign.ID, _ string) (control.Change, error) {
	return control.Change{}, control.Conflictf("can't resume sending %s: it is sending", id)
}

func (s *shop) Cancel(_ context.Context, id campaign.ID, _ string) (control.Change, error) {
	ch, err := s.change(id, campaign.StateSending, campaign.StateCanceled)
	ch.Canceled = 8390
	return ch, err
}

func (s *shop) ResumeAll(context.Context, string) ([]control.Change, error) {
	if s.nothing {
		return nil, nil
	}
	ch, err := s.change("20260314-000041", campaign.StateHeld, campaign.StateSending)
	return []control.Change{ch}, err
}

func (s *shop) SendTest(_ context.Context, m control.TestMessage, _ string) (control.TestResult, error) {
	r := control.TestResult{Key: "test-1", ChannelType: m.ChannelType, Driver: "webhook", Traced: true, Outcome: "sent", ProviderID: "p-7", Request: "POST /\n\nHello " + m.Variables["name"] + "\n", Reply: "200 OK\n"}
	if m.ContactCode == "346" {
		r.Outcome, r.ProviderID, r.Code, r.Detail, r.Reply = "failed", "", "400", "the receiver refused it", ""
	}
	return r, nil
}

func (s *shop) ResumeChannel(_ context.Context, ch control.ChannelResume, _ string) ([]control.ResumedChannel, error) {
	return []control.ResumedChannel{{ApplicationID: 1, ChannelType: ch.ChannelType, From: control.ChannelHeld, Resumed: true},
		{ApplicationID: 2, ChannelType: ch.ChannelType, From: control.ChannelOK}}, nil
}

func (s *shop) Resend(_ context.Context, id campaign.ID, _ []control.ResendOutcome, dryRun bool, _ string) (control.Resent, error) {
	return control.Resent{ID: id, Name: "spring", Messages: 100, Failed: 80, Unknown: 20, DryRun: dryRun}, nil
}

func (s *shop) Results(_ context.Context, _ campaign.ID, f control.ResultsFilter, w io.Writer) error {
	_, err := io.WriteString(w, "line,outcome\n")
	for _, o := range f.Outcomes {
		_, lineErr := io.WriteString(w, "2,"+o.String()+"\n")
		err = errors.Join(err, lineErr)
	}
	return err
}

func (s *shop) Timeline(context.Context, int64, int) (control.Timeline, error) {
	t := control.Timeline{From: noon.Add(7 * time.Minute), Until: noon.Add(7*time.Minute + 48*time.Hour)}
	one := control.ApplicationTimeline{ApplicationID: 1, Name: "Demo shop", Timezone: "Europe/Madrid", Sliced: true, SlotSeconds: 300, Capacity: 600}
	for i, reserved := range []uint32{600, 600, 450, 300, 100, 0, 599} {
		if reserved > 0 {
			one.Slots = append(one.Slots, control.SlotUse{Start: noon.Add(time.Duration(i+1) * 5 * time.Minute), Reserved: reserved,
				Shares: []control.Share{{ID: "20260314-000042", Messages: reserved}}})
		}
	}
	one.Closed = []control.Span{{Start: noon.Add(8 * time.Hour), End: noon.Add(20 * time.Hour)}}
	one.Sendings = []control.TimelineSending{
		{ID: "20260314-000042", Name: "spring", State: campaign.StateSending, Sliced: true, Messages: 8400, Slots: 21, Start: noon.Add(10 * time.Minute), End: noon.Add(70 * time.Minute)},
		{ID: "20260314-000043", Name: "evil\x1bname", State: campaign.StateScheduled, Messages: 900, Start: noon.Add(3 * time.Hour)},
	}
	second := control.ApplicationTimeline{ApplicationID: 2}
	third := control.ApplicationTimeline{ApplicationID: 3, Timezone: "No/Where", Sliced: true, SlotSeconds: 7, Capacity: 10,
		Slots: []control.SlotUse{{Start: time.Unix(noon.Add(time.Hour).Unix()/7*7, 0).UTC(), Reserved: 10}}}
	t.Applications = []control.ApplicationTimeline{one, second, third}
	return t, nil
}

func (s *shop) AddOptOuts(_ context.Context, list []control.OptOut, _ string) (int, error) {
	return len(list) - 1, nil
}

func (s *shop) RemoveOptOuts(_ context.Context, list []control.OptOut, _ string) (int, error) {
	return len(list), nil
}

func (s *shop) OptOuts(_ context.Context, _ int64, yield func(control.OptOut) error) error {
	return errors.Join(yield(control.OptOut{ApplicationID: 1, ContactCode: "34666777888", At: noon, Source: "stop.suppress.csv"}),
		yield(control.OptOut{ApplicationID: 1, ChannelType: "sms", ContactCode: "34666555666", At: noon, Source: "command"}))
}

func (s *shop) Forget(context.Context, string, string) (control.Forgotten, error) {
	return control.Forgotten{Suppressed: 2, Unknown: 1, Sendings: 3, Files: 5}, nil
}

func (s *shop) ImportOptOuts(_ context.Context, _ int64, csv io.Reader, _ string) (control.Imported, error) {
	data, err := io.ReadAll(csv)
	if string(data) == "contactCode\n1\n" {
		return control.Imported{Rows: 1, Added: 1}, err
	}
	return control.Imported{Rows: 1200, Added: 1000, Rejected: 1, Problems: []campaign.Problem{{File: "list", Line: 7, Message: "the contact code is empty"}}}, err
}

func (s *shop) Audit(context.Context, control.AuditFilter) ([]control.AuditEntry, error) {
	if s.nothing {
		return nil, nil
	}
	return []control.AuditEntry{{At: noon, Who: "user:ada", Action: "pause", Sending: "20260314-000042"}, {At: noon.Add(-time.Hour), Who: "file:stop.cancel", Action: "cancel", Sending: "20260314-000001", Detail: "it was scheduled"}}, nil
}

func (s *shop) Doctor(_ context.Context, deep bool) ([]control.Finding, error) {
	list := []control.Finding{{Check: "store", Level: control.LevelOK, Message: "48 MiB"}, {Check: "clock", Level: control.LevelWarn, Message: "it is 3s behind the disk's", Advice: "let NTP set it"}}
	if deep {
		list = append(list, control.Finding{Check: "books", Level: control.LevelFail, Message: "sending 20260314-000042 doesn't balance", Advice: "restore the last backup"})
	}
	return list, nil
}

func (s *shop) Backup(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "the store")
	if s.broken {
		return errors.New("the disk is on fire")
	}
	return err
}

func (s *shop) Compact(context.Context, string) (control.Compacted, error) {
	if s.broken {
		return control.Compacted{}, control.Conflictf("a backup is at work")
	}
	return control.Compacted{BytesBefore: 48 << 20, BytesAfter: 11 << 20, Seconds: 1.25, HeldSeconds: 0.0042}, nil
}

func (s *shop) Reload(context.Context, string) error {
	if s.nothing {
		return nil
	}
	return &control.Error{Code: control.CodeInvalid, Message: "the configuration is invalid; the old one stays in force", Problems: []campaign.Problem{{File: "campaignd.toml", Line: 9, Column: 1, Field: "raet", Message: "unknown key"}}}
}

func (s *shop) Upload(context.Context, control.UploadRequest, func() (*control.UploadPart, error), string) (control.Uploaded, error) {
	return control.Uploaded{}, nil
}
