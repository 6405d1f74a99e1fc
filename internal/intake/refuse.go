package intake

import (
	"context"
	"fmt"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/failpoint"
	"campaignd/internal/watch"
)

// refusal is the reason why a drop is claimed only to be refused.
type refusal struct {
	reason   string
	problems campaign.Problems
}

// refusalFor returns a refusal of the drop as a whole.
func refusalFor(code, format string, args ...any) *refusal {
	no := &refusal{reason: fmt.Sprintf(format, args...)}
	no.problems.Add(campaign.Problem{Code: code, Message: no.reason})
	return no
}

// Incomplete implements watch.Handler. The incomplete drop goes to failed/ with a report that
// names the missing parts.
func (in *Intake) Incomplete(d watch.Drop) {
	waited := "for too long"
	if inbox := in.inbox(d.Inbox); inbox != nil {
		waited = "after " + calendar.FormatLength(inbox.PairTimeout)
	}
	in.rejectUnopened(d, "the drop was still incomplete "+waited, true)
}

// Refused implements watch.Handler. Links, devices, folders and unreadable files are moved as they
// are and never opened. A control file among them is answered by itself: it is no drop.
func (in *Intake) Refused(d watch.Drop) {
	if len(d.Others) == 1 && len(d.Problems) > 0 && watch.ParseName(d.Others[0].Name).Kind == watch.KindControl {
		in.BadName(d.Inbox, d.Others[0], "it "+d.Problems[0].Message)
		return
	}
	in.rejectUnopened(d, "a file of the drop can't be taken", false)
}

func (in *Intake) rejectUnopened(d watch.Drop, reason string, late bool) {
	if in.waits.still(d) || in.drops.claimed(d.Inbox, d.Name) {
		return
	}
	in.queue.put(d.Inbox, d.Name, 0, func(context.Context) error {
		if in.drops.claimed(d.Inbox, d.Name) {
			return nil
		}
		no := &refusal{reason: reason}
		for _, p := range d.Problems {
			no.problems.Add(p)
		}
		if len(d.Problems) > 0 {
			no.reason += ": " + d.Problems[0].String()
		}
		if late {
			no.reason += in.lateHint(d)
		}
		return in.claims.refuseUnclaimed(d, no)
	})
}

// lateHint returns what the author of a script should know about a drop that stayed incomplete: an
// earlier drop that its files came too late for, or whose name they nearly have.
func (in *Intake) lateHint(d watch.Drop) string {
	before, err := in.newest.find(d.Inbox, d.Name)
	if err != nil {
		return ""
	}
	if before != nil {
		hint := fmt.Sprintf("; an earlier drop of this name was taken in as %s at %s, and later files are never added to it",
			before.ID, display.Time(before.ReceivedAt, in.Checker().Config.Zone(before.ApplicationID)))
		if inbox := in.inbox(d.Inbox); inbox != nil && d.CSV == nil {
			hint += fmt.Sprintf(": upload them before the CSV, or within %s of it", calendar.FormatLength(inbox.SidecarWait))
		}
		return hint
	}
	if other := in.newest.sameButDigits(d.Inbox, d.Name); d.CSV == nil && other != "" {
		return fmt.Sprintf("; the drop %q, whose name differs only in its digits, was taken in without these files: is the date or number in their names right?", other)
	}
	return ""
}

// refuseUnclaimed claims a drop only to refuse it, without opening its files.
func (c *claimer) refuseUnclaimed(d watch.Drop, no *refusal) error {
	c.drops.endWait(nameOf(d.Inbox, d.Name))
	s, err := c.claim(d, no)
	if s != nil && err == nil {
		err = c.orRetry(s.ID, c.refuse(s, campaign.StateRejected, s.Reason))
	}
	if err != nil {
		return fmt.Errorf("refuse drop %q: %w", d.Name, err)
	}
	return nil
}

// refuseFor is refuse for a reason that concerns the drop as a whole and has a code.
func (c *claimer) refuseFor(s *campaign.Sending, state campaign.State, code, reason string) error {
	s.Problems, s.ProblemCount = []campaign.Problem{{Code: code, Message: reason}}, 1
	return c.refuse(s, state, reason)
}

// refuse ends a drop that is not sent. Its reports and its folder follow.
func (c *claimer) refuse(s *campaign.Sending, state campaign.State, reason string) error {
	if err := c.store.Refuse(s, state, reason); err != nil {
		return fmt.Errorf("refuse %s: %w", s.ID, err)
	}
	failpoint.At(failpoint.Refused)
	c.drops.end(s.ID)
	c.log.Info("drop refused", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name, "state", state, "errors", s.ProblemCount)
	c.decided(s.ID)
	c.keeper.Changed(s.ID)
	return nil
}
