package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/send"
	"campaignd/internal/source"
	"campaignd/internal/store"
)

// sendingStore has the sendings and their messages.
type sendingStore interface {
	report.Source
	Header(campaign.ID) (*campaign.Sending, error)
	Sendings(store.Filter) ([]*campaign.Sending, error)
	EachResult(campaign.ID, func(at time.Time, o campaign.Outcome) error) error
	Resend(campaign.ID, store.Resending) (store.Resent, error)
}

// Sendings implements control.Sendings.
func (svc *Service) Sendings(_ context.Context, f api.Filter) ([]api.Sending, error) {
	filter := store.Filter{States: f.States, Application: f.Application}
	if f.Name == "" && f.Inbox == "" && f.Since.IsZero() && f.Limit > 0 {
		filter.Limit = f.Offset + f.Limit
	}
	heads, err := svc.Store.Sendings(filter)
	if err != nil {
		return nil, err
	}
	part := strings.ToLower(f.Name)
	heads = slices.DeleteFunc(heads, func(s *campaign.Sending) bool {
		return !strings.Contains(strings.ToLower(s.Name), part) || s.ReceivedAt.Before(f.Since) || f.Inbox != "" && !config.SamePath(s.Inbox, f.Inbox)
	})
	heads = heads[min(f.Offset, len(heads)):]
	if f.Limit > 0 {
		heads = heads[:min(f.Limit, len(heads))]
	}
	list := make([]api.Sending, 0, len(heads))
	for _, head := range heads {
		s, slices, counts, err := svc.Store.Load(head.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue // removed by retention meanwhile
		}
		if err != nil {
			return nil, err
		}
		list = append(list, svc.sending(s, slices, counts))
	}
	return list, nil
}

func (svc *Service) sending(s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts) api.Sending {
	now := svc.Now()
	one := api.SendingOf(s, counts)
	if s.Receipts && report.HasResults(s) {
		one.Delivery = &s.Delivery
	}
	switch {
	case s.State == campaign.StateChecking:
		one.Percent = campaign.Percent(uint64(1e6*svc.Intake.Checking(s.ID)), 1e6)
	case s.State.Final():
		one.Percent = 100
	default:
		status := report.Status(s, slices, counts, now, svc.outlook(s, slices))
		one.Percent = one.Messages.PercentOf()
		one.NextSliceAt, one.EstimatedEnd = status.NextSliceAt, status.EstimatedEnd
		one.NoEstimate = status.NoEstimate
		one.WaitsFor = status.WaitsFor
		if took := now.Sub(s.StartedAt); !s.StartedAt.IsZero() && took > 0 {
			one.Rate = float64(one.Messages.Final()) / took.Seconds()
		}
	}
	if f, failed := svc.Dispatcher.LastFailure(s.ID); failed && !s.State.Final() {
		one.LastError = &api.MessageError{At: f.At, Line: f.Line, ChannelType: f.Channel, Outcome: f.Outcome.String(), Code: f.Code, Error: f.Detail}
	}
	return one
}

// Resolve implements control.Sendings.
func (svc *Service) Resolve(_ context.Context, inbox, text string) (campaign.ID, error) {
	if id := campaign.ID(text); id.Valid() {
		if s, err := svc.Store.Header(id); err == nil && (inbox == "" || config.SamePath(s.Inbox, inbox)) {
			return id, nil
		}
	}
	heads, err := svc.Store.Sendings(store.Filter{})
	if err != nil {
		return "", err
	}
	var known []control.SendingName
	for _, s := range heads {
		if inbox == "" || config.SamePath(s.Inbox, inbox) {
			known = append(known, control.SendingName{ID: s.ID, Name: s.Name})
		}
	}
	return control.Match(text, known)
}

// noSending gives the store's error about an unknown sending its code.
func noSending(id campaign.ID, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return api.NotFoundf("there is no sending %s", id)
	}
	return err
}

// Sending implements control.Sendings.
func (svc *Service) Sending(_ context.Context, id campaign.ID) (api.Details, error) {
	s, slices, counts, err := svc.Store.Load(id)
	if err != nil {
		return api.Details{}, noSending(id, err)
	}
	return api.Details{
		Sending: svc.sending(s, slices, counts), Sliced: s.Sliced, AcceptedAt: s.AcceptedAt, Channels: s.Channels,
		CSV: s.CSV, Warnings: s.Warnings, Errors: s.Problems, ErrorCount: s.ProblemCount, Previews: s.Previews,
		Slices: apiSlices(slices), Folder: folders.Now(s),
	}, nil
}

// WaitsFor returns why a sending with something due doesn't continue, nil if it does. Of a stopped one, whose
// reason the store has, it returns only when it is tried again.
func (svc *Service) WaitsFor(s *campaign.Sending) *campaign.WaitsFor {
	if s.State.Stopped() {
		until := svc.Dispatcher.HeldUntil(s.ID)
		if until.IsZero() {
			return nil
		}
		return &campaign.WaitsFor{Until: until}
	}
	wait, ok := svc.Dispatcher.Wait(s.ID)
	if !ok {
		return nil
	}
	return &campaign.WaitsFor{Reason: wait.Reason, Since: wait.Since.UTC(), Until: wait.Until.UTC()}
}

// outlook returns what the estimated end of a sending depends on besides the store.
func (svc *Service) outlook(s *campaign.Sending, slices []campaign.Slice) report.Outlook {
	o := filing.OutlookOf(svc.Config(), s, slices)
	if s.State.Active() || s.State.Stopped() {
		o.Waits = svc.WaitsFor(s)
	}
	return o
}

func apiSlices(list []campaign.Slice) []api.Slice {
	out := make([]api.Slice, 0, len(list))
	for _, s := range campaign.BySlot(list) {
		out = append(out, api.Slice{Start: s.Start, End: s.End, Recipients: s.Recipients})
	}
	return out
}

// Pause implements control.Sendings.
func (svc *Service) Pause(ctx context.Context, id campaign.ID, who string) (api.Change, error) {
	return svc.steer(ctx, id, who, "pause", svc.Dispatcher.Pause)
}

// Resume implements control.Sendings.
func (svc *Service) Resume(ctx context.Context, id campaign.ID, who string) (api.Change, error) {
	return svc.steer(ctx, id, who, "resume", svc.Dispatcher.Resume)
}

// Cancel implements control.Sendings.
func (svc *Service) Cancel(ctx context.Context, id campaign.ID, who string) (api.Change, error) {
	return svc.steer(ctx, id, who, "cancel", svc.Dispatcher.Cancel)
}

func (svc *Service) steer(ctx context.Context, id campaign.ID, who, action string,
	do func(context.Context, campaign.ID) (campaign.State, error)) (api.Change, error) {
	before, _, was, err := svc.Store.Load(id)
	if err != nil {
		return api.Change{}, noSending(id, err)
	}
	state, err := do(ctx, id)
	if errors.Is(err, send.ErrState) {
		return api.Change{}, api.Conflictf("can't %s sending %s: it is %s", action, id, state)
	}
	if err != nil {
		return api.Change{}, err
	}
	change := api.Change{ID: id, Name: before.Name, From: before.State, State: state, InFlight: uint64(svc.Dispatcher.InFlightOf(id))}
	change.Canceling = action == "cancel" && !state.Final()
	if _, _, counts, err := svc.Store.Load(id); err == nil {
		change.Canceled = counts[campaign.Canceled]
	}
	if unchanged(action, before.State, state, was) {
		return change, nil
	}
	if err := svc.Store.Audit(store.AuditEntry{Who: who, Action: action, Sending: id}); err != nil {
		return api.Change{}, err
	}
	svc.Log.Info("sending changed", "sending", id, "action", action, "state", state, "who", who)
	return change, nil
}

// unchanged reports whether an action found its work already done.
func unchanged(action string, before, after campaign.State, counts campaign.Counts) bool {
	switch action {
	case "resume":
		return false // it lets held channels try at once
	case "cancel":
		return before.Final() || counts[campaign.Canceled] > 0 // the answers to messages in flight may be missing
	}
	return before == after
}

// ResumeAll implements control.Sendings.
func (svc *Service) ResumeAll(ctx context.Context, who string) ([]api.Change, error) {
	heads, err := svc.Store.Sendings(store.Filter{States: []campaign.State{campaign.StateHeld}})
	if err != nil {
		return nil, err
	}
	changes := make([]api.Change, 0, len(heads))
	for _, s := range heads {
		change, err := svc.Resume(ctx, s.ID, who)
		if api.CodeOf(err) == api.CodeConflict && err != nil {
			continue // its state has changed meanwhile
		}
		if err != nil {
			return changes, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// ResumeChannel implements control.Sendings.
func (svc *Service) ResumeChannel(_ context.Context, channel api.ChannelResume, who string) ([]api.ResumedChannel, error) {
	var list []api.ResumedChannel
	var names []string
	for _, ch := range svc.Dispatcher.Channels() {
		names = append(names, ch.Name)
		if ch.Name == channel.ChannelType && (channel.ApplicationID == 0 || channel.ApplicationID == ch.Application) {
			list = append(list, api.ResumedChannel{ApplicationID: ch.Application, ChannelType: ch.Name, From: api.ChannelState(ch.State),
				Resumed: svc.Dispatcher.ResumeChannel(ch.Application, ch.Name)})
		}
	}
	if len(list) == 0 {
		slices.Sort(names)
		names = slices.Compact(names)
		return nil, api.NotFoundf("there is no channel %q%s; there are: %s%s", channel.ChannelType, ofApplication(channel.ApplicationID), strings.Join(names, ", "), source.DidYouMean(channel.ChannelType, names))
	}
	for _, one := range list {
		if !one.Resumed {
			continue
		}
		svc.Log.Info("channel resumed", "application", one.ApplicationID, "channel", one.ChannelType, "who", who)
		if err := svc.Store.Audit(store.AuditEntry{Who: who, Action: "resume channel", Detail: fmt.Sprintf("%s of application %d", one.ChannelType, one.ApplicationID)}); err != nil {
			return list, err
		}
	}
	return list, nil
}

func ofApplication(id int64) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprintf(" in application %d", id)
}

// Results implements control.Sendings.
func (svc *Service) Results(_ context.Context, id campaign.ID, f api.ResultsFilter, w io.Writer) error {
	s, err := svc.Store.Header(id)
	if err != nil {
		return noSending(id, err)
	}
	if s.State == campaign.StateRejected || s.State == campaign.StateChecking {
		return api.Conflictf("sending %s is %s: it has no results", id, s.State)
	}
	return report.Results(w, svc.Store, id, report.Selection(f))
}
