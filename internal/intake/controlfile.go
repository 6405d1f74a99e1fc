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
	"campaignd/internal/check"
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

// controls obeys control files.
type controls struct {
	common
	dispatcher Dispatcher
	checker    func() *check.Checker
	queue      workQueue
}

// put queues a control file. An empty NAME.cancel, NAME.pause, NAME.resume or NAME.results acts only on
// sendings of its inbox; NAME.suppress.csv adds opt-outs (docs/contract.md 10).
func (cs *controls) put(c watch.Control) {
	do, name := cs.obey, c.Name+controlQueue
	if c.Action == watch.ActionSuppress {
		do, name = cs.suppress, c.File.Name
	}
	cs.queue.put(c.Inbox, name, c.File.ID.Size, func(ctx context.Context) error {
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
func (cs *controls) obey(ctx context.Context, c watch.Control) error {
	if err := cs.inboxes.Present(c.Inbox); err != nil {
		return err
	}
	s, err := cs.target(c)
	if whole := withIDInName(c); errors.Is(err, errNoSending) && whole.Name != c.Name {
		if other, otherErr := cs.target(whole); otherErr == nil || cs.dropExpected(whole) {
			c, s, err = whole, other, otherErr
		}
	}
	if cs.mustWait(c, s, err) {
		cs.drops.deferControl(c) // until its drop is accepted, which may have just happened
		if s, err = cs.target(c); cs.mustWait(c, s, err) {
			return nil
		}
	}
	if errors.Is(err, errNoSending) {
		reason := err.Error()
		if name, id := cs.newest.closest(c.Inbox, c.Name); id != "" {
			reason += fmt.Sprintf("; the closest is %q (%s)", name, id)
		}
		return cs.failControl(c, reason)
	}
	if err != nil {
		return err
	}
	if s.State != targetState(c.Action) {
		err := cs.act(ctx, c, s)
		if _, kept := errors.AsType[*NotRescheduled](err); kept || errors.Is(err, filing.ErrEnded) || errors.Is(err, send.ErrState) {
			return cs.failControl(c, err.Error())
		}
		if err != nil {
			return err // of the machine: it is retried
		}
		if err := cs.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: string(c.Action), Sending: s.ID}); err != nil {
			return err
		}
		cs.log.Info("control file obeyed", "sending", s.ID, "action", c.Action, "inbox", c.Inbox)
	}
	failpoint.At(failpoint.Obeyed)
	err = cs.moveControl(c, s)
	failpoint.At(failpoint.ControlMoved)
	cs.notes.taken(c.Inbox, c.File.Name)
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

func (cs *controls) act(ctx context.Context, c watch.Control, s *campaign.Sending) error {
	if c.Action == watch.ActionResults {
		return cs.keeper.WritePartial(s.ID)
	}
	if s.State.Final() {
		return fmt.Errorf("sending %s is %s already: %w", s.ID, s.State, filing.ErrEnded)
	}
	var err error
	switch c.Action {
	case watch.ActionPause:
		_, err = cs.dispatcher.Pause(ctx, s.ID)
	case watch.ActionResume:
		if s.State.Active() {
			return nil
		}
		_, err = cs.dispatcher.Resume(ctx, s.ID)
	case watch.ActionCancel:
		_, err = cs.dispatcher.Cancel(ctx, s.ID)
	case watch.ActionReschedule:
		err = cs.reschedule(ctx, c, s)
	}
	return err
}

// target returns the sending that a control file addresses: the one with its id, else the newest
// open one of that name, else the newest one. It never returns a sending of another inbox.
func (cs *controls) target(c watch.Control) (*campaign.Sending, error) {
	if c.ID != "" {
		s, err := cs.store.Header(c.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && nameOf(s.Inbox, s.Name) != nameOf(c.Inbox, c.Name) {
			return nil, errNoSending
		}
		return s, err
	}
	ids := cs.drops.unfinished(c.Inbox, c.Name)
	for _, id := range slices.Backward(ids) {
		s, err := cs.store.Header(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && !s.State.Final() {
			return s, nil
		}
	}
	s, err := cs.newest.find(c.Inbox, c.Name)
	if err == nil && s == nil {
		err = errNoSending
	}
	return s, err
}

// mustWait reports whether the drop that a control file addresses is still being taken in. s and
// err are the results of target.
func (cs *controls) mustWait(c watch.Control, s *campaign.Sending, err error) bool {
	switch {
	case err == nil && !s.State.Final():
		return s.State == campaign.StateChecking
	case err == nil || errors.Is(err, errNoSending):
		return c.ID == "" && cs.dropExpected(c) // a new drop may have the name of one that ended
	}
	return false
}

// dropExpected reports whether a drop of that name is in the inbox or being taken in.
func (cs *controls) dropExpected(c watch.Control) bool {
	if cs.drops.claimed(c.Inbox, c.Name) || cs.queue.busy(c.Inbox, c.Name) {
		return true
	}
	inbox := cs.checker().Config.Inbox(c.Inbox)
	if inbox == nil || cs.now().Sub(c.FirstSeen) > inbox.PairTimeout {
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
func (cs *controls) obeyDeferred(ctx context.Context, s *campaign.Sending) {
	for _, c := range cs.drops.takeControls(nameOf(s.Inbox, s.Name)) {
		if missing(filepath.Join(c.Inbox, c.File.Name)) {
			continue // answered meanwhile, or taken back by who uploaded it
		}
		if err := cs.obey(ctx, c); err != nil && !vanished(err) {
			cs.log.Error("control file failed; retrying", "file", c.File.Name, "err", err)
		}
	}
}

// moveControl moves the control file into the sending's folder.
func (cs *controls) moveControl(c watch.Control, s *campaign.Sending) error {
	from := filepath.Join(c.Inbox, c.File.Name)
	s, err := cs.store.Header(s.ID)
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
				cs.keeper.Changed(s.ID) // its status.txt answers
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
func (cs *controls) failControl(c watch.Control, reason string) error {
	if c.Action == watch.ActionSuppress {
		return cs.fail(c, optouts.Refusal(c.File.Name, reason))
	}
	cs.log.Info("control file refused", "inbox", c.Inbox, "file", c.File.Name, "reason", reason)
	return cs.fail(c, fmt.Sprintf("%s was not obeyed: %s.", c.File.Name, reason))
}

// fail moves a control file to failed/ with a report.
func (cs *controls) fail(c watch.Control, answer string) error {
	if c.Action == watch.ActionSuppress {
		cs.log.Info("list of opt-outs refused", "inbox", c.Inbox, "file", c.File.Name)
	}
	if err := cs.inboxes.Ensure(c.Inbox); err != nil {
		return err
	}
	place := controlPlace(c, folders.Failed, cs.now())
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
