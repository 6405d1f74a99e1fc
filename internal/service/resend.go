package service

import (
	"context"
	"errors"
	"slices"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/store"
)

// Resend implements control.Sendings.
func (svc *Service) Resend(_ context.Context, id campaign.ID, outcomes []api.ResendOutcome, dryRun bool, who string) (api.Resent, error) {
	s, err := svc.Store.Header(id)
	if err != nil {
		return api.Resent{}, noSending(id, err)
	}
	if !dryRun {
		done, err := svc.Keeper.Reopen(id)
		if err != nil {
			return api.Resent{}, err
		}
		defer done()
	}
	what := store.Resending{Undelivered: slices.Contains(outcomes, api.ResendUndelivered), DryRun: dryRun}
	if slices.Contains(outcomes, api.ResendFailed) {
		what.Outcomes = append(what.Outcomes, campaign.Failed)
	}
	if slices.Contains(outcomes, api.ResendUnknown) {
		what.Outcomes = append(what.Outcomes, campaign.Unknown)
	}
	moved, err := svc.Store.Resend(id, what)
	if errors.Is(err, store.ErrState) {
		return api.Resent{}, api.Conflictf("no message of sending %s can be sent again: %s", id, whyNotResent(s))
	}
	if err != nil {
		return api.Resent{}, err
	}
	resent := resentOf(s, moved)
	if resent.DryRun = dryRun; dryRun {
		return resent, nil
	}
	if err := svc.Store.Audit(store.AuditEntry{Who: who, Action: "resend", Sending: id}); err != nil {
		return api.Resent{}, err
	}
	if after, err := svc.Store.Header(id); err == nil {
		resent.State = after.State
	}
	svc.Keeper.Changed(id)
	svc.Dispatcher.Kick()
	return resent, nil
}

// resentOf returns the counts of a resend. s is the sending before it.
func resentOf(s *campaign.Sending, r store.Resent) api.Resent {
	moved, left := r.Moved, r.Left
	return api.Resent{
		ID: s.ID, Name: s.Name, State: s.State,
		Failed: moved[campaign.Failed], Unknown: moved[campaign.Unknown], Undelivered: moved[campaign.Sent], Skipped: moved[campaign.Skipped],
		Messages: moved.Final(),
		Left: api.NotResent{
			Failed: left[campaign.Failed], Unknown: left[campaign.Unknown], Expired: left[campaign.Expired], Canceled: left[campaign.Canceled],
			Undelivered: s.Delivery.Failed - min(moved[campaign.Sent], s.Delivery.Failed),
			Suppressed:  left[campaign.Suppressed], Skipped: left[campaign.Skipped],
			Unfinished: left[campaign.Pending] + left[campaign.InFlight] + left[campaign.Retrying],
		},
	}
}

// whyNotResent says why nothing of a sending can be sent again, and what to do instead.
func whyNotResent(s *campaign.Sending) string {
	switch {
	case s.DryRun:
		return "it was a dry run, and nothing was sent; drop its files without dryRun"
	case s.State == campaign.StateChecking:
		return "it is being checked, and nothing is sent yet"
	case s.State == campaign.StateRejected:
		return "it was rejected, and nothing was sent; fix its files and drop them again"
	case s.AcceptedAt.IsZero(): // there was no room for it
		return "it was canceled before it was accepted, and nothing was sent; drop its files again"
	}
	return "it was canceled; to send the rest, drop a new CSV of the lines that results.csv calls canceled"
}
