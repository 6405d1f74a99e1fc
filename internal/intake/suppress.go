package intake

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

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
func (in *Intake) suppress(ctx context.Context, c watch.Control) error {
	inbox := in.inbox(c.Inbox)
	if inbox == nil {
		return nil
	}
	if err := in.inboxes.Present(c.Inbox); err != nil {
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
	list, refused := optouts.New(in.Checker().Config, inbox, c.File.Name, info.Size())
	if refused != "" {
		return in.failControl(c, refused)
	}
	waits := wait{inbox: c.Inbox, name: c.File.Name, list: true, files: []campaign.FileID{{Name: c.File.Name}},
		since: in.now(), quiet: c.FirstSeen, expires: c.FirstSeen.Add(inbox.PairTimeout)}
	room, full := in.drops.reserve(inbox, load{bytes: info.Size()})
	if full != "" {
		if in.now().Sub(c.FirstSeen) > inbox.PairTimeout {
			in.drops.endWait(waits.key())
			return in.failControl(c, fmt.Sprintf("it waited %s for drops of this inbox to end: %s; upload it again when some have ended, or ask the operator",
				formatDuration(inbox.PairTimeout), full))
		}
		in.log.Once("full "+c.Inbox+" "+c.File.Name, "a list of opt-outs waits for drops of its inbox to end", "inbox", c.Inbox, "file", c.File.Name, "reason", full)
		waits.reason = full
		in.drops.setWait(waits)
		return nil // the next scan tries again
	}
	in.drops.endWait(waits.key())
	defer room.leave()
	done, err := list.Import(ctx, in.store, f)
	if errors.Is(err, store.ErrTooManyOptOuts) {
		return in.failControl(c, fmt.Sprintf("not all of the list was taken in (%s were): %v; ask the operator to raise max_opt_outs, then upload the list again",
			display.Amount(done.Added, "new opt-out"), store.ErrTooManyOptOuts))
	}
	if err != nil {
		return err
	}
	answer, taken := list.Summary(done)
	if !taken {
		return in.failControl(c, answer)
	}
	if err := in.store.Audit(store.AuditEntry{Who: "file:" + filepath.Join(c.Inbox, c.File.Name), Action: "suppress",
		Detail: fmt.Sprintf("%d opt-outs, %d new", done.Rows, done.Added)}); err != nil {
		return err
	}
	in.log.Info("opt-outs taken in", "inbox", c.Inbox, "rows", done.Rows, "new", done.Added, "refused", done.Refused)
	if err := in.inboxes.Ensure(c.Inbox); err != nil {
		return err
	}
	place := controlPlace(c, folders.Done, in.now())
	if err := writeAnswer(place, "%s", answer); err != nil {
		return err
	}
	return moveFree(filepath.Join(c.Inbox, c.File.Name), place)
}
