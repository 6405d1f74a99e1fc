package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// Incomplete implements watch.Handler: what never became a drop goes to failed/
// with a report that says what never arrived.
func (in *Intake) Incomplete(d watch.Drop) {
	in.turnAway(d, "the drop was not complete within pair_timeout")
}

// Refused implements watch.Handler: links, devices, folders and unreadable files.
// They are moved as they are, never opened.
func (in *Intake) Refused(d watch.Drop) {
	in.turnAway(d, "a file of the drop can't be taken as it is")
}

func (in *Intake) turnAway(d watch.Drop, reason string) {
	in.small.put(d.Inbox, d.Name, func(context.Context) error {
		s, err := in.claimRaw(d)
		if vanished(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("turn away drop %q: %w", d.Name, err)
		}
		var problems campaign.Problems
		for _, p := range d.Trouble {
			problems.Add(p)
		}
		if before := in.earlier(s); before != nil && len(d.Trouble) > 0 {
			problems.Addf("", 0, 0, "", "a drop of this name was taken in before as %s, at %s; what came later is never mixed into it",
				before.ID, before.ReceivedAt.Format("2006-01-02 15:04:05 MST"))
		}
		s.Problems, s.ProblemCount = problems.List, problems.Count
		if len(d.Trouble) > 0 {
			reason += ": " + d.Trouble[0].String()
		}
		return in.refuse(s, campaign.StateRejected, reason)
	})
}

// claimRaw claims whatever files the drop has.
func (in *Intake) claimRaw(d watch.Drop) (*campaign.Sending, error) {
	s, err := in.claim(d, in.now())
	if err != nil && s != nil {
		return nil, in.giveBack(s, err)
	}
	return s, err
}

// earlierLook is how many sendings back a drop of the same name is looked for.
const earlierLook = 5000

// earlier is the sending of the same inbox and name that went before s, nil if there is none.
func (in *Intake) earlier(s *campaign.Sending) *campaign.Sending {
	all, err := in.store.Sendings(store.Filter{Limit: earlierLook, Before: s.ID})
	if err != nil {
		return nil
	}
	for _, one := range all {
		if one.Inbox == s.Inbox && one.Name == s.Name {
			return one
		}
	}
	return nil
}

// Recover brings to an end what a stop or crash cut off: claims are finished and
// checked anew, reports owed are written, folders moved. To be called once, before Run.
func (in *Intake) Recover() error {
	in.removeTemps()
	for s, err := range in.store.Unfiled() {
		if err != nil {
			return fmt.Errorf("recover drops: %w", err)
		}
		if s.State.Final() {
			in.Changed(s.ID)
			continue
		}
		in.log.Info("drop found half checked; it is checked anew", "sending", s.ID, "drop", s.Name)
		in.resume(s)
	}
	// Their status.json may be of before the crash, or of before a backup was restored.
	active, err := in.store.Sendings(store.Filter{States: []campaign.State{campaign.StateScheduled, campaign.StateSending,
		campaign.StatePaused, campaign.StateHeld}})
	if err != nil {
		return fmt.Errorf("recover drops: %w", err)
	}
	for _, s := range active {
		in.Changed(s.ID)
	}
	return nil
}

// resume puts a claimed drop to work again.
func (in *Intake) resume(s *campaign.Sending) {
	in.large.put(s.Inbox, s.FolderName(), func(ctx context.Context) error {
		err := in.recheck(ctx, s)
		if err != nil {
			in.rest(s)
		}
		return err
	})
}

func (in *Intake) recheck(ctx context.Context, s *campaign.Sending) error {
	inbox := in.inbox(s.Inbox)
	if inbox == nil {
		in.logOnce("inbox "+s.Inbox, "a drop waits in an inbox that is configured no more; put the inbox back", "sending", s.ID, "inbox", s.Inbox)
		return nil
	}
	if _, err := in.makeFolder(s); err != nil {
		return err
	}
	if err := in.moveFiles(s); vanished(err) {
		return in.giveBack(s, err)
	} else if err != nil {
		return err
	}
	p, problems, err := openFolder(s)
	if err != nil {
		return err
	}
	defer p.Close()
	if problems.Count > 0 {
		s.Problems, s.ProblemCount = problems.List, problems.Count
		return in.refuse(s, campaign.StateRejected, problems.List[0].String())
	}
	return in.decide(ctx, s, inbox, p, nil)
}

// openFolder opens the files of a claimed drop. What can't be taken is a problem of the drop.
func openFolder(s *campaign.Sending) (*Parts, campaign.Problems, error) {
	p := &Parts{Name: s.Name}
	var problems campaign.Problems
	for _, f := range s.Files {
		part, _, err := p.part(f.Name)
		if err != nil {
			problems.Addf(f.Name, 0, 0, "", "%v", err)
			continue
		}
		file, err := openClaimed(s, f.Name)
		if kind := notTakeable(err); kind != nil {
			problems.Addf(f.Name, 0, 0, "", "%v", kind)
			continue
		}
		if err != nil {
			p.Close()
			return nil, problems, err
		}
		*part = Part{Name: f.Name, File: file}
		cutOff(&problems, file, f)
	}
	for _, one := range []struct {
		part   Part
		ending string
	}{{p.CSV, ".csv"}, {p.Layout, ".layout.json"}} {
		if one.part.File == nil && problems.Count == 0 {
			problems.Addf(s.Name+one.ending, 0, 0, "", "never arrived")
		}
	}
	return p, problems, nil
}

// logOnce logs a warning the first time that key is met.
func (in *Intake) logOnce(key, message string, args ...any) {
	in.mu.Lock()
	known := in.told[key]
	in.told[key] = true
	in.mu.Unlock()
	if !known {
		in.log.Warn(message, args...)
	}
}

// sentence makes an error's text a sentence for a report.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

var errNoSending = errors.New("no sending of this inbox has that name")
