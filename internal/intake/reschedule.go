package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/plan"
	"campaignd/internal/plan/document"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// NotRescheduled is the error of Reschedule for a sending that keeps its time.
type NotRescheduled struct{ Reason string }

// Error returns the reason.
func (e *NotRescheduled) Error() string { return e.Reason + "; nothing was changed" }

func notRescheduled(format string, args ...any) error {
	return &NotRescheduled{fmt.Sprintf(format, args...)}
}

// retime gives an accepted sending that has not begun another time, by scheduleAt or delay
// of when: its slots are freed and others are reserved in one transaction, or nothing changes
// (docs/contract.md 10). A sending that has that time already is left as it is, so that a control
// file can be obeyed again after a crash. The error is a *NotRescheduled if the sending or the
// time doesn't allow it.
func (cs *controls) retime(ctx context.Context, id campaign.ID, when *document.Sidecar) error {
	s, err := cs.store.Header(id)
	if err != nil {
		return err
	}
	f := &check.Finding{Sending: *s, Sidecar: when, Application: cs.checker().Config.Application(s.ApplicationID)}
	if f.Application == nil {
		return notRescheduled("application %d is no longer configured", s.ApplicationID)
	}
	now := cs.now().UTC()
	o := f.Schedule(now, now)
	switch {
	case o.Problems.Count > 0:
		return notRescheduled("%s", o.Problems.List[0].Message)
	case o.Canceled != "":
		return notRescheduled("%s", o.Canceled)
	case when.ScheduleAt != "" && s.ScheduledAt.Equal(o.T) && !s.State.Final():
		return nil
	}
	terms := termsOf(&o)
	err = cs.dispatcher.Reschedule(ctx, id, func() error {
		_, err := cs.store.Reschedule(id, o.T, terms)
		return err
	})
	switch {
	case errors.Is(err, store.ErrBegun):
		return notRescheduled("%s", whyBegun(s))
	case isNoRoom(err): // its own slots are free only while it is moved
		return notRescheduled("%s", cmp.Or(placeable(cs.store, s, &o), "there is no room in the slots at that time"))
	case errors.Is(err, plan.ErrTooManyMessages):
		return notRescheduled("%v", err)
	case err != nil:
		return err
	}
	cs.log.Info("sending rescheduled", "sending", id, "from", s.ScheduledAt, "to", o.T.UTC())
	return nil
}

func isNoRoom(err error) bool {
	_, ok := errors.AsType[*plan.NoRoom](err)
	return ok
}

// placeable returns why there is no room for a sending in the slots, or "" if there is room now.
func placeable(st Store, s *campaign.Sending, o *check.Schedule) string {
	_, reason, err := o.Place(st.Reservations(s.ApplicationID, o.Grid.Slot))
	if err != nil {
		return ""
	}
	return reason
}

// whyBegun says why a sending can't get another time.
func whyBegun(s *campaign.Sending) string {
	switch {
	case s.State == campaign.StateChecking:
		return fmt.Sprintf("sending %s is still being checked", s.ID)
	case s.State.Final():
		return fmt.Sprintf("sending %s is %s already", s.ID, s.State)
	}
	return fmt.Sprintf("sending %s has begun; pause or cancel it instead", s.ID)
}

// readReschedule reads NAME.reschedule.json: scheduleAt or delay, as in a sidecar.
func readReschedule(c watch.Control) (*document.Sidecar, error) {
	f, _, err := safeio.OpenRegular(filepath.Join(c.Inbox, c.File.Name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := document.Read(f)
	if errors.Is(err, document.ErrTooLarge) {
		return nil, notRescheduled("the file %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", c.File.Name, err)
	}
	return ParseReschedule(c.File.Name, data)
}

// ParseReschedule reads the content of a NAME.reschedule.json: an object with scheduleAt or delay
// (docs/contract.md 10). Its error is a *NotRescheduled.
func ParseReschedule(file string, data []byte) (*document.Sidecar, error) {
	sc, problems := document.ParseSidecar(file, data)
	if problems.Count > 0 {
		var all []string
		for _, p := range problems.List {
			all = append(all, p.String())
		}
		return nil, notRescheduled("%s", strings.Join(all, "; "))
	}
	const want = `want {"scheduleAt": "2026-03-01T09:30:00Z"} or {"delay": "PT2H"}`
	other := slices.DeleteFunc(document.SidecarKeys(), func(key string) bool { return key == "scheduleAt" || key == "delay" || !sc.Has(key) })
	if len(other) > 0 {
		return nil, notRescheduled("%s can't be changed any more, only the time; %s", strings.Join(other, ", "), want)
	}
	if sc.ScheduleAt == "" && sc.Delay == "" {
		return nil, notRescheduled("it names no time; %s", want)
	}
	return sc, nil
}

// reschedule obeys a NAME.reschedule.json.
func (cs *controls) reschedule(ctx context.Context, c watch.Control, s *campaign.Sending) error {
	when, err := readReschedule(c)
	if err != nil {
		return err
	}
	return cs.retime(ctx, s.ID, when)
}
