package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/plan"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/recipients"
	"campaignd/internal/report"
	"campaignd/internal/store"
)

// fewRows is the number of rows up to which the de-duplication keys are kept in memory: at most 4
// MiB, because a layout may make a long contactCode from a short cell.
const fewRows = 16_000

// decide checks a claimed drop and accepts, rejects or cancels it. It can be repeated after a
// crash or an error at any point; rows of an interrupted check are dropped first. errChanged means
// that a file was written to while it was read.
func (in *Intake) decide(ctx context.Context, c *check.Checker, s *campaign.Sending, inbox *config.Inbox, p *check.Parts, info *csvfile.Info) error {
	if err := report.WriteChecking(folders.Of(s), s, 0, in.now(), c.Config.Zone(s.ApplicationID)); err != nil {
		return err
	}
	if err := in.store.DiscardRows(s.ID); err != nil {
		return fmt.Errorf("check %s: %w", s.ID, err)
	}
	var spill recipients.Spill // nil means memory
	if info == nil || info.RowBound() > fewRows {
		file, err := check.SpillFile(in.stateDir)
		if err != nil {
			return err
		}
		defer file.Close() // it has no name, so closing removes it
		spill = file
	}
	synced := make(chan error, 1)
	go func() { synced <- syncFiles(s) }() // in parallel to the check; the result is awaited below
	sink := newStoreRowWriter(ctx, in.store, s, in.free)
	defer sink.discard()
	f, err := c.Check(ctx, p, inbox, info, s.ReceivedAt, sink, spill, in.progress(c, s))
	if end := sink.close(); err == nil {
		err = end
	}
	// Without this, a power cut could lose files that are still in the page cache.
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
		return in.claims.refuse(s, campaign.StateRejected, f.Sending.Reason)
	}
	return in.accept(ctx, s, f)
}

// copyFinding copies the result of the check into the sending's header.
func copyFinding(s *campaign.Sending, f *check.Finding) {
	kept := *s
	*s = f.Sending
	s.ID, s.Tag, s.Name, s.Inbox, s.Files, s.Uploaded = kept.ID, kept.Tag, kept.Name, kept.Inbox, kept.Files, kept.Uploaded
	s.ReceivedAt, s.State, s.Reason = kept.ReceivedAt, kept.State, ""
	if !s.DryRun {
		s.Previews = nil
	}
}

// termsOf returns the slots to be reserved.
func termsOf(o *check.Schedule) store.Terms {
	if o.Grid == nil {
		return store.Terms{}
	}
	return store.Terms{Grid: o.Grid, Place: func(b plan.Reservations) ([]plan.Placement, error) { return o.Grid.Place(b, o.Request) }}
}

// accept commits the sending. One transaction compares it with earlier drops, reserves its slots
// and puts it on the timeline.
func (in *Intake) accept(ctx context.Context, s *campaign.Sending, f *check.Finding) error {
	o := f.Schedule(s.ReceivedAt, in.now().UTC())
	s.ScheduledAt = o.T.UTC()
	switch {
	case o.Problems.Count > 0:
		wrong := o.Problems.WithCode("schedule-invalid")
		s.Problems, s.ProblemCount = wrong.List, wrong.Count
		return in.claims.refuse(s, campaign.StateRejected, o.Problems.List[0].String())
	case o.Canceled != "":
		return in.claims.refuseFor(s, campaign.StateCanceled, "windows-closed", o.Canceled)
	}
	if o.Grid == nil && !s.DryRun {
		if warning, late := latenessWarning(f.Application, s, o.T); late {
			s.Warnings = append(s.Warnings, warning)
		}
	}
	for _, name := range s.Channels {
		if ch := f.Application.Channels[name]; ch.Silent() && !s.DryRun {
			s.Warnings = append(s.Warnings, campaign.Problem{Code: campaign.CodeSilentChannel,
				Message: fmt.Sprintf("the driver %[2]s of the channel %[1]q calls every message sent and sends none, so the operator has to choose another one", name, ch.Driver)})
		}
	}
	if len(s.Media) > 0 && in.media != nil && !s.DryRun {
		if err := in.media.Keep(s.Media); err != nil { // before anything is promised
			return fmt.Errorf("accept %s: %w", s.ID, err)
		}
	}
	terms := termsOf(&o)
	terms.DuplicateWindow, terms.Resend = f.Application.DuplicateWindow, f.Sidecar.Resend
	slices, err := in.store.Accept(s, terms)
	if dup, ok := errors.AsType[*store.DuplicateDrop](err); ok {
		s.ScheduledAt = time.Time{} // it was never scheduled
		return in.claims.refuseFor(s, campaign.StateRejected, "duplicate-drop", dup.Error())
	}
	if isNoRoom(err) { // the decision stays, even if room has just become free
		return in.claims.refuseFor(s, campaign.StateCanceled, "no-room", cmp.Or(placeable(in.store, s, &o), "there was no room in the slots"))
	}
	if errors.Is(err, plan.ErrTooManyMessages) {
		return in.claims.refuseFor(s, campaign.StateRejected, "slot-too-small", err.Error()+"; name a campaign with fewer messages, or ask the operator for larger slots")
	}
	if err != nil {
		return fmt.Errorf("accept %s: %w", s.ID, err)
	}
	failpoint.At(failpoint.Accepted)
	in.log.Info("drop accepted", "sending", s.ID, "recipients", s.Rows.Accepted, "rejected", s.Rows.Rejected,
		"duplicates", s.Rows.Duplicate, "messages", s.Planned, "at", s.ScheduledAt, "slices", len(slices), "dryRun", s.DryRun)
	in.decided(s.ID)
	in.keeper.Changed(s.ID)
	in.controls.obeyDeferred(ctx, s)
	in.accepted(s.ID)
	return nil
}
