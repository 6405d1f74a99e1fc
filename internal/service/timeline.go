package service

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/plan"
	"campaignd/internal/store"
)

// slotStore knows when things are due, and which slots are reserved.
type slotStore interface {
	Upcoming(application int64, limit int) (ids []campaign.ID, total int, err error)
	Reserved(application int64, slot time.Duration, first int64, n int) ([]uint32, error)
	SendingsInSlots(application int64, slot time.Duration, first int64, n int) ([]store.Share, error)
	Earlier(digest string, at time.Time, window time.Duration) (campaign.ID, error)
}

// Timeline implements control.Timetable.
func (svc *Service) Timeline(_ context.Context, application int64, limit int) (api.Timeline, error) {
	now := svc.Now().UTC()
	t := api.Timeline{From: now, Until: now.Add(plan.Horizon)}
	c := svc.Config()
	if application != 0 && c.Application(application) == nil {
		return t, api.NotFoundf("there is no application %d", application)
	}
	for i := range c.Applications {
		a := &c.Applications[i]
		if application != 0 && a.ID != application {
			continue
		}
		one, err := svc.timelineOf(a, now, limit)
		if err != nil {
			return t, err
		}
		t.Applications = append(t.Applications, one)
	}
	return t, nil
}

func (svc *Service) timelineOf(a *config.Application, now time.Time, limit int) (api.ApplicationTimeline, error) {
	one := api.ApplicationTimeline{ApplicationID: a.ID, Name: a.Name, Timezone: a.Timezone, Sliced: a.Slicing.Enabled,
		Slots: []api.SlotUse{}, Sendings: []api.TimelineSending{}, Closed: closedSpans(a, now)}
	if a.Slicing.Enabled {
		if err := svc.slots(a, now, &one); err != nil {
			return one, err
		}
	}
	ids, total, err := svc.Store.Upcoming(a.ID, limit)
	if err != nil {
		return one, err
	}
	one.More = total - len(ids)
	for _, id := range ids {
		s, list, counts, err := svc.Store.Load(id)
		if errors.Is(err, store.ErrNotFound) {
			continue // it has ended meanwhile and was removed
		}
		if err != nil {
			return one, err
		}
		row := api.TimelineSending{ID: s.ID, Name: s.Name, State: s.State, Sliced: s.Sliced, Start: s.ScheduledAt,
			Messages: counts[campaign.Pending] + counts[campaign.InFlight] + counts[campaign.Retrying]}
		for _, slice := range list {
			if slice.Sliced() && slice.End.After(now) {
				if row.Slots == 0 {
					row.Start = slice.Start
				}
				row.Slots++
				row.End = slice.End
			}
		}
		one.Sendings = append(one.Sendings, row)
	}
	slices.SortFunc(one.Sendings, func(x, y api.TimelineSending) int {
		return cmp.Or(x.Start.Compare(y.Start), cmp.Compare(x.ID, y.ID))
	})
	return one, nil
}

// slots fills in the reservations of the next 48 h and their sendings.
func (svc *Service) slots(a *config.Application, now time.Time, one *api.ApplicationTimeline) error {
	g := a.Grid()
	one.SlotSeconds, one.Capacity = int64(g.Slot/time.Second), g.Capacity
	first := g.Number(now)
	n := int(g.Number(now.Add(plan.Horizon))-first) + 1
	reserved, err := svc.Store.Reserved(a.ID, g.Slot, first, n)
	if err != nil {
		return err
	}
	shares, err := svc.Store.SendingsInSlots(a.ID, g.Slot, first, n)
	if err != nil {
		return err
	}
	// The store orders them by sending; order them by slot.
	slices.SortStableFunc(shares, func(x, y store.Share) int { return cmp.Compare(x.Slot, y.Slot) })
	for i, messages := range reserved {
		number := first + int64(i)
		use := api.SlotUse{Start: g.Start(number), Reserved: messages}
		for len(shares) > 0 && shares[0].Slot <= number {
			if shares[0].Slot == number {
				use.Shares = append(use.Shares, api.Share{ID: shares[0].Sending, Messages: shares[0].Messages})
			}
			shares = shares[1:]
		}
		if use.Reserved > 0 || len(use.Shares) > 0 {
			one.Slots = append(one.Slots, use)
		}
	}
	return nil
}

// closedSpans returns the times of the next 48 h outside the sending windows.
func closedSpans(a *config.Application, now time.Time) []api.Span {
	var spans []api.Span
	closed, until := now, now.Add(plan.Horizon)
	for opening, closing := range a.Windows.Intervals(now, until) {
		if closed.Before(opening) {
			spans = append(spans, api.Span{Start: closed, End: opening})
		}
		closed = closing
	}
	if closed.Before(until) {
		spans = append(spans, api.Span{Start: closed, End: until})
	}
	return spans
}

// Earlier implements control.Sendings.
func (svc *Service) Earlier(_ context.Context, application int64, digest string) (api.EarlierDrop, error) {
	a := svc.Config().Application(application)
	if a == nil {
		return api.EarlierDrop{}, api.NotFoundf("there is no application %d", application)
	}
	id, err := svc.Store.Earlier(digest, svc.Now(), a.DuplicateWindow)
	if err != nil || id == "" {
		return api.EarlierDrop{}, err
	}
	return api.EarlierDrop{ID: id, Reason: (&store.DuplicateDrop{Earlier: id}).Error()}, nil
}

// Reserved implements control.Timetable.
func (svc *Service) Reserved(_ context.Context, application int64, from, until time.Time) (api.Reservations, error) {
	a := svc.Config().Application(application)
	if a == nil {
		return api.Reservations{}, api.NotFoundf("there is no application %d", application)
	}
	if !a.Slicing.Enabled {
		return api.Reservations{ApplicationID: application, Slots: []api.Reservation{}}, nil
	}
	g := a.Grid()
	first := g.Number(from)
	n := int(max(g.Number(until)-first, 0)) + 1
	reserved, err := svc.Store.Reserved(application, g.Slot, first, n)
	if err != nil {
		return api.Reservations{}, err
	}
	b := api.Reservations{ApplicationID: application, SlotSeconds: int64(g.Slot / time.Second), Capacity: g.Capacity, Slots: []api.Reservation{}}
	for i, messages := range reserved {
		if messages > 0 {
			b.Slots = append(b.Slots, api.Reservation{Slot: first + int64(i), Reserved: messages})
		}
	}
	return b, nil
}
