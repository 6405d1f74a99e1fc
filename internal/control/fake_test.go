package control_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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

const theID = campaign.ID("20260314-000042")

// fake is a Service that records its calls and answers with one of
// everything. Every method returns fail where it is set.
type fake struct {
	mu     sync.Mutex // guards calls
	calls  []string
	fail   error
	checks []api.Check
	broken bool // streams fail after their first piece
	block  chan struct{}
	inside chan struct{}
}

func (f *fake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

// last holds the latest call.
func (f *fake) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return ""
	}
	return f.calls[len(f.calls)-1]
}

func (f *fake) Sendings(_ context.Context, filter api.Filter) ([]api.Sending, error) {
	f.note("sendings %v %d %d", filter.States, filter.Application, filter.Limit)
	if filter.Application == 404 {
		return nil, f.fail
	}
	return []api.Sending{{Drop: api.Drop{ID: theID, Name: "spring", State: campaign.StateSending}}}, f.fail
}

func (f *fake) Resolve(_ context.Context, _, text string) (campaign.ID, error) {
	if f.fail != nil {
		return "", f.fail
	}
	return control.Match(text, []control.SendingName{{ID: theID, Name: "spring"}, {ID: "20260314-000043", Name: "a b/c%?#"}})
}

func (f *fake) Sending(_ context.Context, id campaign.ID) (api.Details, error) {
	f.note("sending %s", id)
	return api.Details{Sending: api.Sending{Drop: api.Drop{ID: id, Name: "spring", State: campaign.StateSending}}}, f.fail
}

// change answers while 3 messages are in flight, so a cancel waits for them.
func (f *fake) change(verb string, id campaign.ID, who string, from, to campaign.State) (api.Change, error) {
	f.note("%s %s by %s", verb, id, who)
	return api.Change{ID: id, Name: "spring", From: from, State: to, InFlight: 3, Canceling: verb == "cancel"}, f.fail
}

func (f *fake) Pause(_ context.Context, id campaign.ID, who string) (api.Change, error) {
	return f.change("pause", id, who, campaign.StateSending, campaign.StatePaused)
}

func (f *fake) Resume(_ context.Context, id campaign.ID, who string) (api.Change, error) {
	return f.change("resume", id, who, campaign.StatePaused, campaign.StateSending)
}

func (f *fake) Cancel(_ context.Context, id campaign.ID, who string) (api.Change, error) {
	return f.change("cancel", id, who, campaign.StateSending, campaign.StateSending)
}

func (f *fake) ResumeAll(_ context.Context, who string) ([]api.Change, error) {
	f.note("resume all by %s", who)
	return nil, f.fail
}

func (f *fake) ResumeChannel(_ context.Context, ch api.ChannelResume, who string) ([]api.ResumedChannel, error) {
	f.note("resume channel %s of %d by %s", ch.ChannelType, ch.ApplicationID, who)
	return []api.ResumedChannel{{ApplicationID: 1, ChannelType: ch.ChannelType, From: api.ChannelHeld, Resumed: true}}, f.fail
}

func (f *fake) SendTest(_ context.Context, m api.TestMessage, who string) (api.TestResult, error) {
	f.note("send-test to %s of %d %v by %s", m.ContactCode, m.ApplicationID, m.Variables, who)
	return api.TestResult{Key: "test-1", ChannelType: m.ChannelType, Driver: "webhook", Traced: true, Outcome: "sent", Request: "POST", Reply: "200"}, f.fail
}

func (f *fake) Reschedule(_ context.Context, id campaign.ID, when api.NewTime, who string) (api.Rescheduled, error) {
	f.note("reschedule %s to %s%s by %s", id, when.ScheduleAt, when.Delay, who)
	return api.Rescheduled{ID: id, Name: "spring", State: campaign.StateScheduled, From: noon, ScheduledAt: noon.Add(time.Hour)}, f.fail
}

func (f *fake) Resend(_ context.Context, id campaign.ID, outcomes []api.ResendOutcome, dryRun bool, who string) (api.Resent, error) {
	f.note("resend %s %v %t by %s", id, outcomes, dryRun, who)
	return api.Resent{ID: id, Name: "spring", State: campaign.StateSending, Messages: 7, Failed: 7, DryRun: dryRun}, f.fail
}

func (f *fake) write(w io.Writer, text string) error {
	if f.fail != nil {
		return f.fail
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if f.broken {
		return errors.New("broken in the middle")
	}
	return nil
}

func (f *fake) Results(_ context.Context, id campaign.ID, r api.ResultsFilter, w io.Writer) error {
	f.note("results %s %v %v", id, r.Outcomes, r.Plain)
	return f.write(w, "line,contactCode\n2,34666\n")
}

func (f *fake) Timeline(_ context.Context, application int64, limit int) (api.Timeline, error) {
	f.note("timeline %d %d", application, limit)
	return api.Timeline{From: noon, Until: noon.Add(48 * time.Hour), Applications: []api.ApplicationTimeline{{ApplicationID: 1}}}, f.fail
}

func (f *fake) Earlier(_ context.Context, application int64, digest string) (api.EarlierDrop, error) {
	f.note("earlier %d %s", application, digest)
	return api.EarlierDrop{ID: "20260313-000001", Reason: "the same drop was accepted before as 20260313-000001"}, f.fail
}

func (f *fake) Reserved(_ context.Context, application int64, from, until time.Time) (api.Reservations, error) {
	f.note("reserved %d %s %s", application, from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	return api.Reservations{ApplicationID: application, SlotSeconds: 300, Capacity: 600, Slots: []api.Reservation{{Slot: 9, Reserved: 4}}}, f.fail
}

func (f *fake) AddOptOuts(_ context.Context, list []api.OptOut, who string) (int, error) {
	f.note("suppress %d by %s", len(list), who)
	return 1, f.fail
}

func (f *fake) RemoveOptOuts(_ context.Context, list []api.OptOut, who string) (int, error) {
	f.note("unsuppress %d by %s", len(list), who)
	return 2, f.fail
}

func (f *fake) OptOuts(_ context.Context, application int64, yield func(api.OptOut) error) error {
	f.note("suppressed %d", application)
	if application == 404 {
		return f.fail
	}
	for i := range 3 {
		if f.fail != nil {
			return f.fail
		}
		if err := yield(api.OptOut{ApplicationID: 1, ContactCode: fmt.Sprint(i), At: noon, Source: "command"}); err != nil {
			return err
		}
		if f.broken {
			return errors.New("broken in the middle")
		}
	}
	return nil
}

func (f *fake) Forget(_ context.Context, contact, who string) (api.Forgotten, error) {
	f.note("forget %s by %s", contact, who)
	return api.Forgotten{Suppressed: 2, Unknown: 1, Sendings: 3, Files: 5}, f.fail
}

func (f *fake) ImportOptOuts(_ context.Context, application int64, csv io.Reader, who string) (api.Imported, error) {
	data, err := io.ReadAll(csv)
	f.note("import %d %q by %s", application, data, who)
	return api.Imported{Rows: 2, Added: 1}, errors.Join(err, f.fail)
}

func (f *fake) Status(context.Context) (api.Status, error) {
	if f.block != nil {
		f.inside <- struct{}{}
		<-f.block
	}
	return api.Status{
		Version: "1.2.3", StartedAt: noon, Now: noon.Add(time.Hour), Sendings: map[campaign.State]int{campaign.StateHeld: 2},
		Inboxes: []api.Inbox{{Path: "inbox", Waiting: 1}},
		Channels: []api.Channel{{ApplicationID: 1, ChannelType: "cloud_api", Driver: "whatsapp", Rate: 80, Current: 80, Concurrency: 16, InFlight: 5,
			State: api.ChannelHeld, Reason: "the token is revoked", Since: noon, Held: true, HeldReason: "the token is revoked", HeldSince: noon}},
		Queue: api.Queue{Pending: 9}, Store: api.Store{Bytes: 4096},
		Slots: []api.SlotFill{{ApplicationID: 1, Reserved: 300, Capacity: 600}},
	}, f.fail
}

func (f *fake) Ready(context.Context) []api.Check { return slices.Clone(f.checks) }

func (f *fake) Doctor(_ context.Context, deep bool) ([]api.Finding, error) {
	f.note("doctor %t", deep)
	return []api.Finding{{Check: "store", Level: api.LevelOK, Message: "its counts are consistent"}}, f.fail
}

func (f *fake) Templates(_ context.Context, application int64, channel string) ([]api.ChannelTemplates, error) {
	f.note("templates %d %s", application, channel)
	return []api.ChannelTemplates{{ApplicationID: 1, ChannelType: "wa", Templates: []api.Template{{Name: "welcome", Language: "es", Status: "APPROVED", Category: "MARKETING", Parameters: []string{"body 1"}}}}}, f.fail
}

func (f *fake) Audit(_ context.Context, filter api.AuditFilter) ([]api.AuditEntry, error) {
	f.note("audit %s %s %d", filter.Since.UTC().Format(time.RFC3339), filter.Sending, filter.Limit)
	return []api.AuditEntry{{At: noon, Who: "user:ada", Action: "pause"}}, f.fail
}

func (f *fake) Backup(_ context.Context, w io.Writer) error {
	f.note("backup")
	return f.write(w, "the store")
}

func (f *fake) Compact(_ context.Context, who string) (api.Compacted, error) {
	f.note("compact by %s", who)
	return api.Compacted{BytesBefore: 9, BytesAfter: 4, Seconds: 0.5, HeldSeconds: 0.5}, f.fail
}

func (f *fake) Handover(_ context.Context, who string) (api.Handover, error) {
	f.note("handover by %s", who)
	return api.Handover{From: "a", To: "b", Lease: "a-1"}, f.fail
}

func (f *fake) Reload(_ context.Context, who string) error {
	f.note("reload by %s", who)
	return f.fail
}

func (f *fake) Upload(_ context.Context, u api.UploadRequest, next func() (*api.UploadPart, error), who string) (api.Uploaded, error) {
	var parts []string
	for {
		part, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return api.Uploaded{}, err
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return api.Uploaded{}, err
		}
		parts = append(parts, fmt.Sprintf("%s=%s", part.Name, body))
	}
	f.note("upload %q %d/%d %v by %s", u.Inbox, u.ApplicationID, u.CampaignID, parts, who)
	return api.Uploaded{ID: theID, Name: "spring", State: campaign.StateScheduled}, f.fail
}
