package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/failpoint"
	"campaignd/internal/filing"
	"campaignd/internal/folders"
	"campaignd/internal/optouts"
	"campaignd/internal/safeio"
	"campaignd/internal/send"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// errNoSending is returned when a control file matches no sending of its inbox.
var errNoSending = errors.New("this inbox has had no drop of that name (and id); compare both letter by letter")

// Control implements watch.Handler. An empty NAME.cancel, NAME.pause, NAME.resume or NAME.results
// acts only on sendings of its inbox; NAME.suppress.csv adds opt-outs (docs/contract.md 10).
func (in *Intake) Control(c watch.Control) {
	do, name := in.obey, c.Name+controlQueue
	if c.Action == watch.ActionSuppress {
		do, name = in.suppress, c.File.Name
	}
	in.queueFor(c.File.ID.Size).put(c.Inbox, name, func(ctx context.Context) error {
		err := do(ctx, c)
		if vanished(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("control file %q: %w", c.File.Name, err)
		}
		return nil
	})
}

// controlQueue distinguishes the control files of a drop from the drop in the queues. They share
// one name, so that they are obeyed one at a time: a pause before the resume that came after it.
const controlQueue = "\x00control"

// targetState returns the state that an action leads to, or "" if any active state will do.
func targetState(a watch.Action) campaign.State {
	switch a {
	case watch.ActionPause:
		return campaign.StatePaused
	case watch.ActionCancel:
		return campaign.StateCanceled
	}
	return ""
}

// obey obeys a control file. The act comes before the move: after a crash between them the file is
// obeyed again, which then changes nothing.
func (in *Intake) obey(ctx context.Context, c watch.Control) error {
	if err := in.inboxes.Present(c.Inbox); err != nil {
		return err
	}
	s, err := in.target(c)
	if whole := withIDInName(c); errors.Is(err, errNoSending) && whole.Name != c.Name {
		if other, otherErr := in.target(whole); otherErr == nil || in.dropExpected(whole) {
			c, s, err = whole, other, otherErr
		}
	}
	if in.mustWait(c, s, err) {
		in.drops.deferControl(c) // until its drop is accepted, which may have just happened
		if s, err = in.target(c); in.mustWait(c, s, err) {
			return nil
		}
	}
	if errors.Is(err, errNoSending) {
		return in.failControl(c, err.Error())
	}
	if err != nil {
		return err
	}
	if s.State != targetState(c.Action) {
		err := in.act(ctx, c, s)
		if _, kept := errors.AsType[*NotRescheduled](err); kept || errors.Is(err, filing.ErrEnded) || errors.Is(err, send.ErrState) {
			return in.failControl(c, err.Error())
		}
		if err != nil {
			return err // of the machine: it is retried
		}
		if err := in.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: string(c.Action), Sending: s.ID}); err != nil {
			return err
		}
		in.log.Info("control file obeyed", "sending", s.ID, "action", c.Action, "inbox", c.Inbox)
	}
	failpoint.At(failpoint.Obeyed)
	err = in.moveControl(c, s)
	failpoint.At(failpoint.ControlMoved)
	in.notes.taken(c.Inbox, c.File.Name)
	return err
}

// withIDInName returns c for a drop whose own name ends like NAME.ID.
func withIDInName(c watch.Control) watch.Control {
	if c.ID != "" {
		c.Name, c.ID = c.Name+"."+string(c.ID), ""
		c.Beside, c.WholeBeside = c.WholeBeside, false
	}
	return c
}

func (in *Intake) act(ctx context.Context, c watch.Control, s *campaign.Sending) error {
	if c.Action == watch.ActionResults {
		return in.keeper.WritePartial(s.ID)
	}
	if s.State.Final() {
		return fmt.Errorf("sending %s is %s already: %w", s.ID, s.State, filing.ErrEnded)
	}
	var err error
	switch c.Action {
	case watch.ActionPause:
		_, err = in.dispatcher.Pause(ctx, s.ID)
	case watch.ActionResume:
		if s.State.Active() {
			return nil
		}
		_, err = in.dispatcher.Resume(ctx, s.ID)
	case watch.ActionCancel:
		_, err = in.dispatcher.Cancel(ctx, s.ID)
	case watch.ActionReschedule:
		err = in.reschedule(ctx, c, s)
	}
	return err
}

// target returns the sending that a control file addresses: the one with its id, else the newest
// open one of that name, else the newest one. It never returns a sending of another inbox.
func (in *Intake) target(c watch.Control) (*campaign.Sending, error) {
	if c.ID != "" {
		s, err := in.store.Header(c.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && nameOf(s.Inbox, s.Name) != nameOf(c.Inbox, c.Name) {
			return nil, errNoSending
		}
		return s, err
	}
	ids := in.drops.unfinished(c.Inbox, c.Name)
	for _, id := range slices.Backward(ids) {
		s, err := in.store.Header(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && !s.State.Final() {
			return s, nil
		}
	}
	s, err := in.newest.find(in.store, c.Inbox, c.Name)
	if err == nil && s == nil {
		err = errNoSending
	}
	return s, err
}

// mustWait reports whether the drop that a control file addresses is still being taken in. s and
// err are the results of target.
func (in *Intake) mustWait(c watch.Control, s *campaign.Sending, err error) bool {
	switch {
	case err == nil && !s.State.Final():
		return s.State == campaign.StateChecking
	case err == nil || errors.Is(err, errNoSending):
		return c.ID == "" && in.dropExpected(c) // a new drop may have the name of one that ended
	}
	return false
}

// dropExpected reports whether a drop of that name is in the inbox or being taken in.
func (in *Intake) dropExpected(c watch.Control) bool {
	if in.drops.claimed(c.Inbox, c.Name) || in.small.busy(c.Inbox, c.Name) || in.large.busy(c.Inbox, c.Name) {
		return true
	}
	inbox := in.inbox(c.Inbox)
	if inbox == nil || in.now().Sub(c.FirstSeen) > inbox.PairTimeout {
		return false
	}
	if c.Beside {
		return true
	}
	// Look for files that came since that scan, in the usual spelling.
	for _, ending := range []string{".csv", ".csv.gz", ".zip", ".xlsx", ".layout.json", ".schedule.json"} {
		if _, err := os.Lstat(filepath.Join(c.Inbox, c.Name+ending)); err == nil {
			return true
		}
	}
	return false
}

// obeyDeferred obeys the control files that came before their drop was accepted, so that nothing
// of it is sent until the next scan. That scan retries those that fail.
func (in *Intake) obeyDeferred(ctx context.Context, s *campaign.Sending) {
	for _, c := range in.drops.takeControls(nameOf(s.Inbox, s.Name)) {
		if err := in.obey(ctx, c); err != nil && !vanished(err) {
			in.log.Error("control file failed; retrying", "file", c.File.Name, "err", err)
		}
	}
}

// moveControl moves the control file into the sending's folder.
func (in *Intake) moveControl(c watch.Control, s *campaign.Sending) error {
	from := filepath.Join(c.Inbox, c.File.Name)
	s, err := in.store.Header(s.ID)
	if err != nil {
		return err
	}
	places := []string{folders.Of(s)}
	if s.State.Final() {
		places = append(places, folders.Final(s), folders.Of(s)) // its folder may be moved at this moment
	}
	for _, place := range places {
		err = moveFree(from, filepath.Join(place, c.File.Name))
		if err == nil {
			if watch.IsStop(c.File.Name) {
				in.keeper.Changed(s.ID) // its status.txt answers
			}
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// moveFree moves a file, appending a number if the name is taken.
func moveFree(from, to string) error {
	name := to
	for n := 2; ; n++ {
		err := safeio.Move(from, name)
		if !errors.Is(err, safeio.ErrExists) {
			return err
		}
		name = fmt.Sprintf("%s.%d", to, n)
	}
}

// controlPlace returns where a control file goes in done/ or failed/: under its own name, or with
// the time appended if that is taken.
func controlPlace(c watch.Control, folder string, now time.Time) string {
	place := filepath.Join(c.Inbox, folder, c.File.Name)
	if _, err := os.Lstat(place); errors.Is(err, fs.ErrNotExist) {
		return place
	}
	return place + "." + now.UTC().Format(folders.StampLayout)
}

// failControl moves a control file to failed/ with a report. The reason for refusing a list of
// opt-outs may quote the list, so it isn't logged.
func (in *Intake) failControl(c watch.Control, reason string) error {
	answer := fmt.Sprintf("%s was not obeyed: %s.", c.File.Name, reason)
	if c.Action == watch.ActionSuppress {
		answer = optouts.Refusal(c.File.Name, reason)
		in.log.Info("list of opt-outs refused", "inbox", c.Inbox, "file", c.File.Name)
	} else {
		in.log.Info("control file refused", "inbox", c.Inbox, "file", c.File.Name, "reason", reason)
	}
	if err := in.inboxes.Ensure(c.Inbox); err != nil {
		return err
	}
	place := controlPlace(c, folders.Failed, in.now())
	if err := writeAnswer(place, "%s", answer); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}

// writeAnswer writes the report on a file that becomes no sending, next to the place of the file.
func writeAnswer(place, format string, args ...any) error {
	return safeio.WriteFile(place+folders.ReportEnding, 0o644, func(w io.Writer) error {
		_, err := io.WriteString(w, display.Text(fmt.Sprintf(format, args...))+"\n")
		return err
	})
}
