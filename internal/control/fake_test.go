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
	checks []control.Check
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

func (f *fake) Sendings(_ context.Context, filter control.Filter) ([]control.Sending, error) {
	f.note("sendings %v %d %d", filter.States, filter.Application, filter.Limit)
	if filter.Application == 404 {
		return nil, f.fail
	}
	return []control.Sending{{ID: theID, Name: "spring"}}, f.fail
}

func (f *fake) Resolve(_ context.Context, _, text string) (campaign.ID, error) {
	if f.fail != nil {
		return "", f.fail
	}
	return control.Match(text, []control.SendingName{{ID: theID, Name: "spring"}, {ID: "20260314-000043", Name: "a b/c%?#"}})
}

func (f *fake) Sending(_ context.Context, id campaign.ID) (control.Details, error) {
	f.note("sending %s", id)
	return control.Details{Sending: control.Sending{ID: id, Name: "spring"}}, f.fail
}

func (f *fake) change(verb string, id campaign.ID, who string) (control.Change, error) {
	f.note("%s %s by %s", verb, id, who)
	return control.Change{ID: id, Name: "spring", From: campaign.StateSending, State: campaign.StatePaused, InFlight: 3}, f.fail
}

func (f *fake) Pause(_ context.Context, id campaign.ID, who string) (control.Change, error) {
	return f.change("pause", id, who)
}

func (f *fake) Resume(_ context.Context, id campaign.ID, who string) (control.Change, error) {
	return f.change("resume", id, who)
}

func (f *fake) Cancel(_ context.Context, id campaign.ID, who string) (control.Change, error) {
	return f.change("cancel", id, who)
}

func (f *fake) ResumeAll(_ context.Context, who string) ([]control.Change, error) {
	f.note("resume all by %s", who)
	return nil, f.fail
}

func (f *fake) ResumeChannel(_ context.Context, ch control.ChannelResume, who string) ([]control.ResumedChannel, error) {
	f.note("resume channel %s of %d by %s", ch.ChannelType, ch.ApplicationID, who)
	return []control.ResumedChannel{{ApplicationID: 1, ChannelType: ch.ChannelType, From: control.ChannelHeld, Resumed: true}}, f.fail
}

func (f *fake) SendTest(_ context.Context, m control.TestMessage, who string) (control.TestResult, error) {
	f.note("send-test to %s of %d %v by %s", m.ContactCode, m.ApplicationID, m.Variables, who)
	return control.TestResult{Key: "test-1", ChannelType: m.ChannelType, Outcome: "sent", Request: "POST", Reply: "200"}, f.fail
}

func (f *fake) Reschedule(_ context.Context, id campaign.ID, when control.NewTime, who string) (control.Rescheduled, error) {
	f.note("reschedule %s to %s%s by %s", id, when.ScheduleAt, when.Delay, who)
	return control.Rescheduled{ID: id, Name: "spring", State: campaign.StateScheduled}, f.fail
}

func (f *fake) Resend(_ context.Context, id campaign.ID, outcomes []control.ResendOutcome, dryRun bool, who string) (control.Resent, error) {
	f.note("resend %s %v %t by %s", id, outcomes, dryRun, who)
	return control.Resent{ID: id, Messages: 7, DryRun: dryRun}, f.fail
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

func (f *fake) Results(_ context.Context, id campaign.ID, r control.ResultsFilter, w io.Writer) error {
	f.note("results %s %v %v", id, r.Outcomes, r.Plain)
	return f.write(w, "line,contactCode\n2,34666\n")
}

func (f *fake) Timeline(_ context.Context, application int64, limit int) (control.Timeline, error) {
	f.note("timeline %d %d", application, limit)
	return control.Timeline{From: noon, Applications: []control.ApplicationTimeline{{ApplicationID: 1}}}, f.fail
}

func (f *fake) Earlier(_ context.Context, application int64, digest string) (control.EarlierDrop, error) {
	f.note("earlier %d %s", application, digest)
	return control.EarlierDrop{ID: "20260313-000001"}, f.fail
}

func (f *fake) Reserved(_ context.Context, application int64, from, until time.Time) (control.Reservations, error) {
	f.note("reserved %d %s %s", application, from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339))
	return control.Reservations{ApplicationID: application, SlotSeconds: 300, Slots: []control.Reservation{{Slot: 9, Reserved: 4}}}, f.fail
}

func (f *fake) AddOptOuts(_ context.Context, list []control.OptOut, who string) (int, error) {
	f.note("suppress %d by %s", len(list), who)
	return 1, f.fail
}

func (f *fake) RemoveOptOuts(_ context.Context, list []control.OptOut, who string) (int, error) {
	f.note("unsuppress %d by %s", len(list), who)
	return 2, f.fail
}

func (f *fake) OptOuts(_ context.Context, application int64, yield func(control.OptOut) error) error {
	f.note("suppressed %d", application)
	if application == 404 {
		return f.fail
	}
	for i := range 3 {
		if f.fail != nil {
			return f.fail
		}
		if err := yield(control.OptOut{ApplicationID: 1, ContactCode: fmt.Sprint(i)}); err != nil {
			return err
		}
		if f.broken {
			return errors.New("broken in the middle")
		}
	}
	return nil
}

func (f *fake) Forget(_ context.Context, contact, who string) (control.Forgotten, error) {
	f.note("forget %s by %s", contact, who)
	return control.Forgotten{Suppressed: 2, Unknown: 1, Sendings: 3, Files: 5}, f.fail
}

func (f *fake) ImportOptOuts(_ context.Context, application int64, csv io.Reader, who string) (control.Imported, error) {
	data, err := io.ReadAll(csv)
	f.note("import %d %q by %s", application, data, who)
	return control.Imported{Rows: 2, Added: 1}, errors.Join(err, f.fail)
}

func (f *fake) Status(context.Context) (control.Status, error) {
	if f.block != nil {
		f.inside <- struct{}{}
		<-f.block
	}
	return control.Status{
		Version: "1.2.3", StartedAt: noon, Now: noon.Add(time.Hour), Sendings: map[campaign.State]int{campaign.StateHeld: 2},
		Inboxes:  []control.Inbox{{Path: "inbox", Waiting: 1}},
		Channels: []control.Channel{{ApplicationID: 1, ChannelType: "cloud_api", Rate: 80, State: control.ChannelHeld, Held: true, InFlight: 5}},
		Queue:    control.Queue{Pending: 9}, Store: control.Store{Bytes: 4096},
		Slots: []control.SlotFill{{ApplicationID: 1, Reserved: 300, Capacity: 600}},
	}, f.fail
}

func (f *fake) Ready(context.Context) []control.Check { return slices.Clone(f.checks) }

func (f *fake) Doctor(_ context.Context, deep bool) ([]control.Finding, error) {
	f.note("doctor %t", deep)
	return []control.Finding{{Check: "store", Level: control.LevelOK}}, f.fail
}

func (f *fake) Audit(_ context.Context, filter control.AuditFilter) ([]control.AuditEntry, error) {
	f.note("audit %s %s %d", filter.Since.UTC().Format(time.RFC3339), filter.Sending, filter.Limit)
	return []control.AuditEntry{{At: noon, Who: "user:ada", Action: "pause"}}, f.fail
}

func (f *fake) Backup(_ context.Context, w io.Writer) error {
	f.note("backup")
	return f.write(w, "the store")
}

func (f *fake) Compact(_ context.Context, who string) (control.Compacted, error) {
	f.note("compact by %s", who)
	return control.Compacted{BytesBefore: 9, BytesAfter: 4, Seconds: 0.5, HeldSeconds: 0.01}, f.fail
}

func (f *fake) Reload(_ context.Context, who string) error {
	f.note("reload by %s", who)
	return f.fail
}

func (f *fake) Upload(_ context.Context, u control.UploadRequest, next func() (*control.UploadPart, error), who string) (control.Uploaded, error) {
	var parts []string
	for {
		part, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return control.Uploaded{}, err
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return control.Uploaded{}, err
		}
		parts = append(parts, fmt.Sprintf("%s=%s", part.Name, body))
	}
	f.note("upload %q %d/%d %v by %s", u.Inbox, u.ApplicationID, u.CampaignID, parts, who)
	return control.Uploaded{ID: theID, Name: "spring", State: campaign.StateScheduled}, f.fail
}
