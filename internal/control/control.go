// Package control is how people and scrapers reach a running daemon: a JSON API
// over a Unix socket in the state folder, and, where the configuration says so,
// over HTTP with health, readiness and metrics beside it (SPEC 10). It holds
// both ends: Server for the daemon, Client for the commands. What browsers are
// shown is made elsewhere (Pages) and served here, behind the same guard.
//
// It decides nothing about sendings and touches no store and no file of a drop:
// Service is what it asks of the daemon. What a caller did wrong comes back as
// an *Error with its Code; anything else is the daemon's own failure, logged
// here and answered as CodeInternal. A broken listener ends Run with an error;
// a broken request ends that request alone.
package control

import (
	"context"
	"io"
	"time"

	"campaignd/internal/campaign"
)

// Service is what the daemon does for its callers. All methods are safe for
// concurrent use. who names the caller for the audit trail: "user:alice" over
// the socket, "web:token", "web:login" (a browser that showed the token) or
// "web:local" over HTTP. A method returns an *Error
// where the caller can do something about it.
type Service interface {
	Sendings
	Timetable
	OptOuts
	Upkeep
}

// Sendings reads and steers sendings.
type Sendings interface {
	// Sendings lists those that pass the filter, newest first.
	Sendings(ctx context.Context, f Filter) ([]Sending, error)

	// Resolve finds the one sending that text means: a full id, a shortened id
	// that is unique, or a drop's name (its newest sending). Match does that.
	Resolve(ctx context.Context, text string) (campaign.ID, error)

	// Earlier says whether a drop that is taken in now was accepted before, within the
	// application's duplicate_window (SPEC 2). digest is the one the drop would get.
	Earlier(ctx context.Context, application int64, digest string) (EarlierDrop, error)

	// Sending is all about one. CodeNotFound if there is none.
	Sending(ctx context.Context, id campaign.ID) (Details, error)

	// Pause, Resume and Cancel move a sending and return when nothing new goes
	// out against the caller's will (PITFALLS 27); what was in flight then is
	// in the Change. CodeConflict where the state doesn't allow the move.
	Pause(ctx context.Context, id campaign.ID, who string) (Change, error)
	Resume(ctx context.Context, id campaign.ID, who string) (Change, error)
	Cancel(ctx context.Context, id campaign.ID, who string) (Change, error)

	// ResumeAll resumes every paused or held sending, e.g. after a restore.
	ResumeAll(ctx context.Context, who string) ([]Change, error)

	// Resend plans the messages with one of the outcomes (Failed, Unknown) again.
	// A dry run says how many there are and changes nothing.
	Resend(ctx context.Context, id campaign.ID, outcomes []campaign.Outcome, dryRun bool, who string) (Resent, error)

	// Results writes results.csv (SPEC 9), with outcomes only those lines. It
	// writes nothing if it fails before the first line.
	Results(ctx context.Context, id campaign.ID, outcomes []campaign.Outcome, w io.Writer) error
}

// Timetable shows slots and their bookings.
type Timetable interface {
	// Timeline is the next 48 h of one application, of all for 0.
	Timeline(ctx context.Context, application int64) (Timeline, error)

	// Reserved are the application's booked slots that start in [from, until),
	// for a check of what a drop would get.
	Reserved(ctx context.Context, application int64, from, until time.Time) (Reservations, error)
}

// Suppressions keeps the list of contacts that opted out.
type OptOuts interface {
	// Suppress adds opt-outs and returns how many were new.
	AddOptOuts(ctx context.Context, list []OptOut, who string) (int, error)

	// Unsuppress removes opt-outs and returns how many there were.
	RemoveOptOuts(ctx context.Context, list []OptOut, who string) (int, error)

	// Suppressed calls yield for every opt-out of the application, of all for 0,
	// and stops at its first error.
	OptOuts(ctx context.Context, application int64, yield func(OptOut) error) error

	// ImportSuppressions reads a CSV with the columns contactCode and, optional,
	// channelType, and adds its rows for the application (0: every one configured).
	ImportOptOuts(ctx context.Context, application int64, csv io.Reader, who string) (Imported, error)
}

// Upkeep is about the daemon itself.
type Upkeep interface {
	// Status is a picture of the daemon now. It is cheap: it is asked at every scrape.
	Status(ctx context.Context) (Status, error)

	// Ready names each thing that must work for the daemon to do its work.
	Ready(ctx context.Context) []Check

	// Doctor looks closer than Ready; deep reads the whole store.
	Doctor(ctx context.Context, deep bool) ([]Finding, error)

	// Audit is the trail of changes, newest first.
	Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error)

	// Backup writes a consistent copy of the store while the daemon works on.
	Backup(ctx context.Context, w io.Writer) error

	// SendTest sends one message at once, outside of any sending, and shows its request and reply.
	SendTest(ctx context.Context, m TestMessage, who string) (TestResult, error)

	// Compact gives the store's free space back to the disk while the daemon works
	// on. CodeConflict while a backup or another compaction is at work.
	Compact(ctx context.Context, who string) (Compacted, error)

	// Reload reads the configuration again. A bad one keeps the old and comes
	// back as CodeInvalid with its problems.
	Reload(ctx context.Context, who string) error
}
