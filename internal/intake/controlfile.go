package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// Control implements watch.Handler: an empty NAME.cancel, NAME.pause or
// NAME.resume acts on this inbox's sendings alone, NAME.suppress.csv adds opt-outs (SPEC 10).
func (in *Intake) Control(c watch.Control) {
	in.small.put(c.Inbox, c.File.Name, func(ctx context.Context) error {
		var err error
		if c.Action == watch.ActionSuppress {
			err = in.suppress(ctx, c)
		} else {
			err = in.steer(ctx, c)
		}
		if vanished(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("control file %q: %w", c.File.Name, err)
		}
		return nil
	})
}

// asked is the state that an action leads to, "" where any active one will do.
func asked(a watch.Action) campaign.State {
	switch a {
	case watch.ActionPause:
		return campaign.StatePaused
	case watch.ActionCancel:
		return campaign.StateCanceled
	}
	return ""
}

// steer obeys a control file. The act comes before the move: a crash between them has the
// file obeyed again, which changes nothing then.
func (in *Intake) steer(ctx context.Context, c watch.Control) error {
	s, err := in.target(c)
	if errors.Is(err, errNoSending) {
		if in.comingUp(c) {
			return nil // its drop is being taken in; this file is met again
		}
		return in.failControl(c, err)
	}
	if err != nil {
		return err
	}
	if s.State == campaign.StateChecking {
		return nil
	}
	if s.State != asked(c.Action) {
		if err := in.act(ctx, c, s); err != nil {
			return in.failControl(c, err)
		}
		if err := in.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: string(c.Action), Sending: s.ID}); err != nil {
			return err
		}
		in.log.Info("control file obeyed", "sending", s.ID, "action", c.Action, "inbox", c.Inbox)
	}
	failpoint.At(failpoint.Obeyed)
	err = in.moveControl(c, s)
	failpoint.At(failpoint.ControlMoved)
	return err
}

func (in *Intake) act(ctx context.Context, c watch.Control, s *campaign.Sending) error {
	if s.State.Final() {
		return fmt.Errorf("sending %s is %s already: it can't be changed any more", s.ID, s.State)
	}
	var err error
	switch c.Action {
	case watch.ActionPause:
		_, err = in.steering.Pause(ctx, s.ID)
	case watch.ActionResume:
		if s.State.Active() {
			return nil
		}
		_, err = in.steering.Resume(ctx, s.ID)
	case watch.ActionCancel:
		_, err = in.steering.Cancel(ctx, s.ID)
	}
	return err
}

// target is the sending a control file means: by its id, else the newest of that name
// that has not ended, else the newest. Sendings of other inboxes don't exist for it.
func (in *Intake) target(c watch.Control) (*campaign.Sending, error) {
	if c.ID != "" {
		s, err := in.store.Header(c.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && (s.Inbox != c.Inbox || s.Name != c.Name) {
			return nil, errNoSending
		}
		return s, err
	}
	all, err := in.store.Sendings(store.Filter{Limit: earlierLook})
	if err != nil {
		return nil, err
	}
	var newest *campaign.Sending
	for _, s := range all {
		if s.Inbox != c.Inbox || s.Name != c.Name {
			continue
		}
		if !s.State.Final() {
			return s, nil
		}
		if newest == nil {
			newest = s
		}
	}
	if newest == nil {
		return nil, errNoSending
	}
	return newest, nil
}

// comingUp reports whether a drop of that name lies in the inbox, or is at work.
func (in *Intake) comingUp(c watch.Control) bool {
	if in.small.busy(c.Inbox, c.Name) || in.large.busy(c.Inbox, c.Name) {
		return true
	}
	inbox := in.inbox(c.Inbox)
	if inbox == nil || in.now().Sub(c.FirstSeen) > inbox.PairTimeout {
		return false
	}
	_, err := os.Lstat(filepath.Join(c.Inbox, c.Name+".csv"))
	return err == nil
}

// moveControl lays the control file beside the sending's files.
func (in *Intake) moveControl(c watch.Control, s *campaign.Sending) error {
	from := filepath.Join(c.Inbox, c.File.Name)
	s, err := in.store.Header(s.ID)
	if err != nil {
		return err
	}
	places := []string{folder(s)}
	if s.State.Final() {
		places = append(places, finalFolder(s), folder(s)) // its folder may move at this moment
	}
	for _, place := range places {
		err = moveFree(from, filepath.Join(place, c.File.Name))
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// moveFree moves a file to a name that is still free, counting up where it isn't.
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

// failControl moves a control file to failed/ with the reason beside it.
func (in *Intake) failControl(c watch.Control, cause error) error {
	in.log.Info("control file refused", "inbox", c.Inbox, "file", c.File.Name, "reason", cause)
	if err := MakeFolders(c.Inbox); err != nil {
		return err
	}
	place := filepath.Join(c.Inbox, failedFolder, fmt.Sprintf("%s.%s", c.File.Name, in.now().UTC().Format("20060102T150405Z")))
	if err := safeio.WriteFile(place+".report.txt", 0o644, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s was not obeyed: %s\n", c.File.Name, sentence(cause))
		return err
	}); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}
