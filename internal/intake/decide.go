package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/failpoint"
	"campaignd/internal/plan"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/report"
	"campaignd/internal/store"
)

// fewRows is up to how many rows the keys for de-duplication are kept in memory: 4 MiB at most,
// since a layout may make a long contactCode of a short cell.
const fewRows = 16_000

// decide checks a claimed drop and accepts, rejects or cancels it. It can be
// repeated after a crash or an error at any point: rows of a check that was cut off
// are dropped first. errChanged means that a file was written to while it was read.
func (in *Intake) decide(ctx context.Context, s *campaign.Sending, inbox *config.Inbox, p *Parts, info *csvfile.Info) error {
	defer func() {
		in.mu.Lock()
		delete(in.working, s.ID)
		in.mu.Unlock()
	}()
	if err := report.WriteStatus(folder(s), report.Checking(s, 0)); err != nil {
		return err
	}
	if err := in.store.DiscardRows(s.ID); err != nil {
		return fmt.Errorf("check %s: %w", s.ID, err)
	}
	var spill recipients.Spill // nil: memory
	if info == nil || info.RowBound() > fewRows {
		file, err := SpillFile(in.stateDir)
		if err != nil {
			return err
		}
		defer file.Close() // nameless: gone with this
		spill = file
	}
	synced := make(chan error, 1)
	go func() { synced <- syncFiles(s) }() // beside the check: its answer is awaited below
	sink := newStoreRowWriter(ctx, in.store, s)
	defer sink.discard()
	f, err := in.checker().Check(ctx, p, inbox, info, s.ReceivedAt, sink, spill, in.progress(s))
	if end := sink.close(); err == nil {
		err = end
	}
	// What was dropped may be in memory alone; a power cut after this leaves it whole.
	if end := <-synced; err == nil {
		err = end
	}
	if err == nil {
		err = untouched(p, s)
	}
	if err == nil {
		err = takeOwnership(s)
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", s.ID, err)
	}
	failpoint.At(failpoint.FilesSynced)
	if f.Sending.Rows.Rejected > 0 {
		if err := sink.commitRejected(); err != nil {
			return fmt.Errorf("write %s of %s: %w", report.RejectedFile, s.ID, err)
		}
	}
	failpoint.At(failpoint.Checked)
	copyFinding(s, f)
	if f.Wrong() {
		return in.refuse(s, campaign.StateRejected, f.Sending.Reason)
	}
	return in.accept(ctx, s, f)
}

// adopt copies what the check found into the sending's header.
func copyFinding(s *campaign.Sending, f *Finding) {
	kept := *s
	*s = f.Sending
	s.ID, s.Tag, s.Name, s.Inbox, s.Files = kept.ID, kept.Tag, kept.Name, kept.Inbox, kept.Files
	s.ReceivedAt, s.State, s.Reason = kept.ReceivedAt, kept.State, ""
	if !s.DryRun {
		s.Previews = nil
	}
}

// Outlook is what a checked drop is to get: when, and in which slots.
type Schedule struct {
	T        time.Time
	Grid     *plan.Grid   // nil: not sliced, everyone is due at T
	Request  plan.Request // with Grid
	Problems campaign.Problems
	Canceled string // why it can't be sent at all; "" if it can
}

// Outlook says what the drop gets if it was received at received and is accepted now (SPEC 5, 7).
func (f *Finding) Schedule(received, now time.Time) Schedule {
	var o Schedule
	app, s := f.Application, &f.Sending
	base := now
	if f.Sidecar.ScheduleAt != "" {
		base = received // a long check must not make it too late
	}
	o.T, o.Problems, _ = f.Sidecar.When(base, app.Location, app.ScheduleGrace)
	if o.T.Before(now) {
		o.T = now
	}
	if !app.Slicing.Enabled || s.Rows.Accepted < app.Slicing.ActivationRecipients {
		// An unsliced sending's T moves to the next opening (SPEC 7).
		opening := app.Windows.NextOpening(o.T)
		if opening.IsZero() {
			o.Canceled = "the application's sending windows don't open within a year; ask the operator"
			return o
		}
		o.T = opening
		return o
	}
	grid := Grid(app)
	o.Grid = &grid
	o.Request = plan.Request{T: o.T, Until: o.T.Add(plan.Horizon), Condition: s.Condition, Recipients: s.Rows.Accepted, Messages: s.Messages,
		Latest: calendar.AddMonths(now, document.MaxAhead, app.Location)}
	return o
}

// Place finds the slots, or says in words why there is no room. The error is of
// the bookings.
func (o *Schedule) Place(b plan.Reservations) (placed []plan.Placement, noRoom string, err error) {
	placed, err = o.Grid.Place(b, o.Request)
	if _, ok := errors.AsType[*plan.NoRoom](err); ok {
		advice, err := o.Grid.Advise(b, o.Request)
		if err != nil {
			return nil, "", err
		}
		return nil, advice.Reason, nil
	}
	return placed, "", err
}

// Grid is an application's slots.
func Grid(app *config.Application) plan.Grid {
	return plan.Grid{Slot: app.Slicing.Slot, Capacity: app.Slicing.Capacity, Windows: app.Windows}
}

// accept commits the sending: in one transaction it is looked up among earlier
// drops, its slots are counted and booked, and it is on the timeline.
func (in *Intake) accept(ctx context.Context, s *campaign.Sending, f *Finding) error {
	o := f.Schedule(s.ReceivedAt, in.now().UTC())
	s.ScheduledAt = o.T.UTC()
	switch {
	case o.Problems.Count > 0:
		s.Problems, s.ProblemCount = o.Problems.List, o.Problems.Count
		return in.refuse(s, campaign.StateRejected, o.Problems.List[0].String())
	case o.Canceled != "":
		return in.refuse(s, campaign.StateCanceled, o.Canceled)
	}
	terms := store.Terms{DuplicateWindow: f.Application.DuplicateWindow, Resend: f.Sidecar.Resend, Grid: o.Grid}
	if o.Grid != nil {
		terms.Place = func(b plan.Reservations) ([]plan.Placement, error) { return o.Grid.Place(b, o.Request) }
	}
	slices, err := in.store.Accept(s, terms)
	if dup, ok := errors.AsType[*store.DuplicateDrop](err); ok {
		s.ScheduledAt = time.Time{} // it never was
		return in.refuse(s, campaign.StateRejected, dup.Error())
	}
	if _, ok := errors.AsType[*plan.NoRoom](err); ok {
		_, reason, err := o.Place(reservations{in.store, s.ApplicationID, o.Grid.Slot})
		if err != nil || reason == "" { // room was made in this very moment: what was decided stands
			reason = "there was no room in the slots"
		}
		return in.refuse(s, campaign.StateCanceled, reason)
	}
	if errors.Is(err, plan.ErrTooManyMessages) {
		return in.refuse(s, campaign.StateRejected, err.Error()+"; name a campaign with fewer messages, or ask the operator for larger slots")
	}
	if err != nil {
		return fmt.Errorf("accept %s: %w", s.ID, err)
	}
	failpoint.At(failpoint.Accepted)
	in.log.Info("drop accepted", "sending", s.ID, "recipients", s.Rows.Accepted, "rejected", s.Rows.Rejected,
		"duplicates", s.Rows.Duplicate, "messages", s.Planned, "at", s.ScheduledAt, "slices", len(slices), "dryRun", s.DryRun)
	in.decided(s.ID)
	in.Changed(s.ID)
	in.obeyDeferred(ctx, s)
	in.accepted(s.ID)
	return nil
}

// bookings is the store's read of one application's slots, for advice after the fact.
type reservations struct {
	store       *store.Store
	application int64
	slot        time.Duration
}

// Reserved implements plan.Bookings.
func (b reservations) Reserved(first int64, counts []uint32) error {
	reserved, err := b.store.Reserved(b.application, b.slot, first, len(counts))
	if err != nil {
		return err
	}
	copy(counts, reserved)
	return nil
}
