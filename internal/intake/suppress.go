package intake

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/folders"
	"campaignd/internal/optouts"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// suppress imports NAME.suppress.csv: the columns contactCode and, optional, channelType. It
// applies to the applications that this inbox may send for.
func (cs *controls) suppress(ctx context.Context, c watch.Control) error {
	inbox := cs.checker().Config.Inbox(c.Inbox)
	if inbox == nil {
		return nil
	}
	if err := cs.inboxes.Present(c.Inbox); err != nil {
		return err
	}
	f, _, err := safeio.OpenRegular(filepath.Join(c.Inbox, c.File.Name))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	list, refused := optouts.New(cs.checker().Config, inbox, c.File.Name, info.Size())
	if refused != "" {
		return cs.failControl(c, refused)
	}
	waits := wait{inbox: c.Inbox, name: c.File.Name, list: true, files: []campaign.FileID{{Name: c.File.Name}},
		since: cs.now(), quiet: c.FirstSeen, end: endsInFailed, expires: c.FirstSeen.Add(inbox.PairTimeout)}
	room, full := cs.drops.reserve(inbox, load{bytes: info.Size()})
	if full != "" {
		if cs.now().Sub(c.FirstSeen) > inbox.PairTimeout {
			cs.drops.endWait(waits.key())
			return cs.failControl(c, fmt.Sprintf("it waited %s for drops of this inbox to end: %s; upload it again when some have ended, or ask the operator",
				calendar.FormatLength(inbox.PairTimeout), full))
		}
		cs.log.Once("full "+c.Inbox+" "+c.File.Name, "a list of opt-outs waits for drops of its inbox to end", "inbox", c.Inbox, "file", c.File.Name, "reason", full)
		waits.reason = full
		cs.drops.setWait(waits)
		return nil // the next scan tries again
	}
	cs.drops.endWait(waits.key())
	defer room.leave()
	done, err := list.Import(ctx, cs.store, f)
	if errors.Is(err, store.ErrTooManyOptOuts) {
		return cs.fail(c, tooManyOptOuts(c.File.Name, done.Added))
	}
	if err != nil {
		return err
	}
	answer, taken := list.Summary(done)
	if !taken {
		return cs.failControl(c, answer)
	}
	if err := cs.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: "suppress",
		Detail: fmt.Sprintf("%s, %d new", display.Amount(done.OptOuts, "opt-out"), done.Added)}); err != nil {
		return err
	}
	cs.log.Info("opt-outs taken in", "inbox", c.Inbox, "rows", done.Rows, "new", done.Added, "refused", done.Refused)
	if err := cs.inboxes.Ensure(c.Inbox); err != nil {
		return err
	}
	place := controlPlace(c, folders.Done, cs.now())
	if err := writeAnswer(place, "%s", answer); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}

// tooManyOptOuts returns the report on a list that exceeds max_opt_outs. A long list is added in groups, so a part
// of it may be in force.
func tooManyOptOuts(file string, added int) string {
	reason := fmt.Sprintf("%v; ask the operator to raise max_opt_outs, then upload the list again", store.ErrTooManyOptOuts)
	if added == 0 {
		return optouts.Refusal(file, reason)
	}
	return fmt.Sprintf("%s was taken in only in part, with %s: %s.", file, display.Amount(added, "new opt-out"), reason)
}
