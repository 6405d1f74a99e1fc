package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/intake"
	"campaignd/internal/store"
)

// Reschedule implements control.Sendings.
func (svc *Service) Reschedule(ctx context.Context, id campaign.ID, when api.NewTime, who string) (api.Rescheduled, error) {
	before, err := svc.Store.Header(id)
	if err != nil {
		return api.Rescheduled{}, noSending(id, err)
	}
	data, err := json.Marshal(when)
	if err != nil {
		return api.Rescheduled{}, fmt.Errorf("read the new time: %w", err)
	}
	sidecar, err := intake.ParseReschedule("the new time", data)
	if err != nil {
		return api.Rescheduled{}, api.Invalidf("%v", err)
	}
	err = svc.Intake.Reschedule(ctx, id, sidecar)
	if _, kept := errors.AsType[*intake.NotRescheduled](err); kept {
		return api.Rescheduled{}, api.Conflictf("%v", err)
	}
	if err != nil {
		return api.Rescheduled{}, err
	}
	after, slices, _, err := svc.Store.Load(id)
	if err != nil {
		return api.Rescheduled{}, err
	}
	moved := api.Rescheduled{ID: id, Name: after.Name, State: after.State, From: before.ScheduledAt, ScheduledAt: after.ScheduledAt, Slices: apiSlices(slices)}
	return moved, svc.Store.Audit(store.AuditEntry{Who: who, Action: "reschedule", Sending: id, Detail: "to " + after.ScheduledAt.UTC().Format(time.RFC3339)})
}
