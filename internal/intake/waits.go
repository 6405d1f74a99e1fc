package intake

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/watch"
)

// wait is a drop that is complete by its names but not by its contents, or a drop or list of opt-outs for
// which its inbox has no room.
type wait struct {
	inbox, name string            // as the partner spells it; of a list the file's
	list        bool              // it is a list of opt-outs
	files       []campaign.FileID // as examined; if they differ, the drop is examined again
	reason      string
	since       time.Time
	until       time.Time // time of the next examination; zero if only a change causes one
	quiet       time.Time // since when its files are unchanged
	expires     time.Time // end of the wait; zero: not known
}

func (w wait) key() dropName {
	if w.list {
		return listName(w.inbox, w.name)
	}
	return nameOf(w.inbox, w.name)
}

// listName is the name of a list of opt-outs in the table. No drop has it.
func listName(inbox, file string) dropName { return nameOf(inbox, "\x00list\x00"+file) }

// stillWaits reports whether nothing has changed for a drop that was examined and has to wait.
func (in *Intake) stillWaits(d watch.Drop) bool {
	w, ok := in.drops.waiting(nameOf(d.Inbox, d.Name))
	if !ok || !slices.Equal(w.files, fileIDs(d)) {
		return false
	}
	if !w.until.IsZero() {
		return in.now().Before(w.until)
	}
	inbox := in.inbox(d.Inbox)
	return inbox == nil || in.now().Sub(d.FirstSeen) <= inbox.PairTimeout
}

func fileIDs(d watch.Drop) []campaign.FileID {
	var ids []campaign.FileID
	for _, f := range d.Files() {
		id := f.ID
		id.Name = f.Name
		ids = append(ids, id)
	}
	return ids
}

// Wait is a drop that has all its files and waits for their contents.
type Wait struct {
	Name, Reason string
	Since        time.Time
}

// Waits returns the drops of an inbox that wait for a proof, a line end or free space, and its
// lists of opt-outs that wait for room, oldest first.
func (in *Intake) Waits(inbox string) []Wait {
	waits, _ := in.drops.inInbox(inbox)
	var list []Wait
	for _, w := range waits {
		list = append(list, Wait{Name: w.name, Reason: w.reason, Since: w.since})
	}
	slices.SortFunc(list, func(a, b Wait) int { return a.Since.Compare(b.Since) })
	return list
}

func (in *Intake) setWait(d watch.Drop, reason string, until time.Time) {
	if in.noteWait(d, reason, until) {
		in.log.Info("drop waits", "inbox", d.Inbox, "drop", d.Name, "reason", reason)
	}
}

// noteWait records why a drop waits and reports whether the reason is new.
func (in *Intake) noteWait(d watch.Drop, reason string, until time.Time) bool {
	now := in.now()
	w := wait{inbox: d.Inbox, name: d.Name, files: fileIDs(d), reason: reason, since: now, until: until, quiet: now}
	if inbox := in.inbox(d.Inbox); inbox != nil {
		w.expires = d.FirstSeen.Add(inbox.PairTimeout)
	}
	return in.drops.setWait(w)
}

// forgetGone forgets the waits of files that were removed.
func (in *Intake) forgetGone() {
	waits, controls := in.drops.inInbox("")
	for _, w := range waits {
		if missing(filepath.Join(w.inbox, w.files[0].Name)) {
			in.drops.endWait(w.key())
		}
	}
	for _, c := range controls {
		if missing(filepath.Join(c.Inbox, c.File.Name)) {
			in.drops.forgetControl(c)
		}
	}
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
