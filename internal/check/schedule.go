package check

import (
	"errors"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Schedule holds the due time and the slots of a checked drop.
type Schedule struct {
	T        time.Time
	Grid     *plan.Grid   // nil if not sliced: everyone is due at T
	Request  plan.Request // with Grid
	Problems campaign.Problems
	Canceled string // why it can't be sent at all, or ""
}

// Schedule returns the schedule of a drop that was received at received and is accepted now
// (docs/contract.md 5 and 7).
func (f *Finding) Schedule(received, now time.Time) Schedule {
	var o Schedule
	app, s := f.Application, &f.Sending
	base := now
	if f.Sidecar.ScheduleAt != "" {
		base = received // a long check must not make scheduleAt too late
	}
	o.T, o.Problems, _ = f.Sidecar.When(base, app.Location, app.ScheduleGrace)
	if o.T.Before(now) {
		o.T = now
	}
	if !app.Slicing.Enabled || s.Rows.Accepted < app.Slicing.ActivationRecipients {
		// An unsliced sending's T moves to the next opening (docs/contract.md 7).
		opening := app.Windows.NextOpening(o.T)
		if opening.IsZero() {
			o.Canceled = "the application's sending windows don't open within a year; ask the operator"
			return o
		}
		o.T = opening
		return o
	}
	grid := app.Grid()
	o.Grid = &grid
	o.Request = plan.Request{T: o.T, Until: o.T.Add(plan.Horizon), Condition: s.Condition, Recipients: s.Rows.Accepted, Messages: s.Messages,
		Latest: calendar.AddMonths(now, campaign.MonthsAhead, app.Location)}
	return o
}

// Place finds the slots, or returns in words why there is no room. The error comes from the
// reservations.
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
