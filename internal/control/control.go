// Package control connects people and scrapers with a running daemon. It serves
// a JSON API over a Unix socket in the state folder and, if configured, over
// HTTP, together with health, readiness and metrics (docs/contract.md 10). It has
// both ends: Server for the daemon, Client for the commands. Another package
// renders the pages for browsers (Pages); this one serves them behind its guard.
//
// It decides nothing about sendings and touches neither the store nor the files
// of a drop: it asks Service. A caller's mistake comes back as an *api.Error with a
// Code. Any other error is the daemon's own: it is logged here and answered as
// CodeInternal. A broken listener ends Run with an error, a broken request only
// that request.
package control

import (
	"context"
	"io"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// Service carries out requests. All methods are safe for concurrent use. The
// parameter who names the caller in the audit trail: "user:alice" over the
// socket, "web:token", "web:login" (a browser that logged in) or "web:local"
// or "inbox:PATH" (a partner's token) over HTTP. A method returns an *api.Error if the caller can fix the cause.
type Service interface {
	Sendings
	Timetable
	OptOuts
	Forgetting
	Upkeep
	Uploads
}

// Uploads takes drops over HTTP.
type Uploads interface {
	// Upload takes one drop in and waits for its check, up to a limit (docs/contract.md 10). next
	// returns the parts of the request, io.EOF after the last; a part must be read before the next
	// one is asked for. CodeRejected and CodeConflict name the refused Sending.
	Upload(ctx context.Context, u api.UploadRequest, next func() (*api.UploadPart, error), who string) (api.Uploaded, error)
}

// Sendings reads and changes sendings.
type Sendings interface {
	// Sendings lists the sendings that pass the filter, newest first.
	Sendings(ctx context.Context, f api.Filter) ([]api.Sending, error)

	// Resolve finds a sending by its full id, by a unique short form of its id, or
	// by its drop's name (the newest sending of that name). See Match. It looks only among
	// the sendings of the inbox; of all inboxes for "".
	Resolve(ctx context.Context, inbox, text string) (campaign.ID, error)

	// Earlier returns the sending that a drop with this digest would repeat within the
	// application's duplicate_window (docs/contract.md 2).
	Earlier(ctx context.Context, application int64, digest string) (api.EarlierDrop, error)

	// Sending returns everything about one sending. CodeNotFound if there is none.
	Sending(ctx context.Context, id campaign.ID) (api.Details, error)

	// Pause, Resume and Cancel change a sending's state. After Pause and Cancel
	// have returned, no further attempt begins; the Change counts the attempts
	// that were in flight. CodeConflict if the state doesn't allow the change.
	Pause(ctx context.Context, id campaign.ID, who string) (api.Change, error)
	Resume(ctx context.Context, id campaign.ID, who string) (api.Change, error)
	Cancel(ctx context.Context, id campaign.ID, who string) (api.Change, error)

	// ResumeAll resumes every held sending, for example after a restore. A paused one stays paused.
	ResumeAll(ctx context.Context, who string) ([]api.Change, error)

	// ResumeChannel lets a channel that isn't ok try a message immediately.
	// CodeNotFound if no application has it.
	ResumeChannel(ctx context.Context, channel api.ChannelResume, who string) ([]api.ResumedChannel, error)

	// Reschedule gives a sending that has not begun another time, or changes nothing.
	// CodeInvalid if when is no time, CodeConflict if the sending has begun or there is no room.
	Reschedule(ctx context.Context, id campaign.ID, when api.NewTime, who string) (api.Rescheduled, error)

	// Resend plans the messages with one of the outcomes again. A dry run only
	// counts them.
	Resend(ctx context.Context, id campaign.ID, outcomes []api.ResendOutcome, dryRun bool, who string) (api.Resent, error)

	// Results writes results.csv (docs/contract.md 9), or what f selects of it. It writes
	// nothing if it fails before the first line.
	Results(ctx context.Context, id campaign.ID, f api.ResultsFilter, w io.Writer) error
}

// Timetable shows slots and reservations.
type Timetable interface {
	// Timeline returns the next 48 h of one application, or of all for 0, with at most limit
	// sendings of each, or all for 0.
	Timeline(ctx context.Context, application int64, limit int) (api.Timeline, error)

	// Reserved returns the application's reserved slots that start in [from, until).
	// `campaignd check` plans a drop around them.
	Reserved(ctx context.Context, application int64, from, until time.Time) (api.Reservations, error)
}

// OptOuts keeps the list of contacts that opted out.
type OptOuts interface {
	// AddOptOuts adds opt-outs and returns how many were new.
	AddOptOuts(ctx context.Context, list []api.OptOut, who string) (int, error)

	// RemoveOptOuts removes opt-outs and returns how many it found.
	RemoveOptOuts(ctx context.Context, list []api.OptOut, who string) (int, error)

	// OptOuts calls yield for every opt-out of the application, or of all for 0,
	// and stops at its first error.
	OptOuts(ctx context.Context, application int64, yield func(api.OptOut) error) error

	// ImportOptOuts reads a CSV with the column contactCode and, optionally,
	// channelType, and adds its rows for the application (0: every configured one).
	ImportOptOuts(ctx context.Context, application int64, csv io.Reader, who string) (api.Imported, error)
}

// Forgetting removes contacts.
type Forgetting interface {
	// Forget removes a contact from the store and the inboxes' folders, ends its pending messages,
	// and keeps it suppressed on every channel. CodeConflict while a message to it is in flight, or
	// a backup or a compaction is running: call it again then, and it does the rest.
	Forget(ctx context.Context, contact, who string) (api.Forgotten, error)
}

// Upkeep watches and maintains the daemon itself.
type Upkeep interface {
	// Status describes the daemon now. It must be cheap: every scrape calls it.
	Status(ctx context.Context) (api.Status, error)

	// Ready checks each part that the daemon needs for its work.
	Ready(ctx context.Context) []api.Check

	// Doctor checks more than Ready; deep also reads the whole store.
	Doctor(ctx context.Context, deep bool) ([]api.Finding, error)

	// Templates asks the receivers of an application's channels, or of all for 0, for their message
	// templates. channel selects one channel, "" all. Channels without templates are left out.
	Templates(ctx context.Context, application int64, channel string) ([]api.ChannelTemplates, error)

	// Audit returns the audit trail, newest first.
	Audit(ctx context.Context, f api.AuditFilter) ([]api.AuditEntry, error)

	// Backup writes a consistent copy of the store while the daemon works on.
	Backup(ctx context.Context, w io.Writer) error

	// SendTest sends one message immediately, outside any sending, and returns its request and reply.
	SendTest(ctx context.Context, m api.TestMessage, who string) (api.TestResult, error)

	// Compact returns the store's free space to the disk while the daemon works.
	// CodeConflict while a backup or another compaction is running.
	Compact(ctx context.Context, who string) (api.Compacted, error)

	// Handover ends this process in order so that the standby leads. It returns once that has begun.
	// CodeConflict without a standby that could take over.
	Handover(ctx context.Context, who string) (api.Handover, error)

	// Reload reads the configuration again. If it is invalid, the old one stays in
	// force and the problems come back as CodeInvalid.
	Reload(ctx context.Context, who string) error
}
