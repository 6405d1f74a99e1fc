package intake

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/rarelog"
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
	end         waitEnd   // if its files stay as they are
	expires     time.Time // end of the wait; zero: not known
}

// waitEnd says how a wait ends if the files stay as they are.
type waitEnd uint8

const (
	endsWithCause waitEnd = iota // once its cause is gone, whenever that is
	endsInFailed                 // at pair_timeout
	endsInCheck                  // at its next examination the drop is checked as it is
	endsByHand                   // campaignd has done what it can, and a person must remove the files
)

func (w wait) key() dropName {
	if w.list {
		return listName(w.inbox, w.name)
	}
	return nameOf(w.inbox, w.name)
}

// listName is the name of a list of opt-outs in the table. No drop has it.
func listName(inbox, file string) dropName { return nameOf(inbox, "\x00list\x00"+file) }

// waits keeps what the drops and lists wait for, in the table.
type waits struct {
	drops *dropTable
	inbox func(path string) *config.Inbox // returns nil for a folder that is no longer configured
	log   *rarelog.Log
	now   func() time.Time
}

// still reports whether nothing has changed for a drop that was examined and has to wait.
func (ws *waits) still(d watch.Drop) bool {
	w, ok := ws.drops.waiting(nameOf(d.Inbox, d.Name))
	if !ok || !slices.Equal(w.files, fileIDs(d)) {
		return false
	}
	if !w.until.IsZero() {
		return ws.now().Before(w.until)
	}
	inbox := ws.inbox(d.Inbox)
	return inbox == nil || ws.now().Sub(d.FirstSeen) <= inbox.PairTimeout
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

// of returns what waits in an inbox, oldest first.
func (ws *waits) of(inbox string) []watch.Wait {
	waits, _ := ws.drops.inInbox(inbox)
	var list []watch.Wait
	for _, w := range waits {
		list = append(list, watch.Wait{Name: w.name, Reason: w.reason, Since: w.since})
	}
	slices.SortFunc(list, func(a, b watch.Wait) int { return a.Since.Compare(b.Since) })
	return list
}

// set records why a drop waits, when it is examined again and how its wait ends, and logs a new reason.
func (ws *waits) set(d watch.Drop, reason string, until time.Time, end waitEnd) {
	if ws.note(d, reason, until, end) {
		ws.log.Info("drop waits", "inbox", d.Inbox, "drop", d.Name, "reason", reason)
	}
}

// note records why a drop waits and reports whether the reason is new.
func (ws *waits) note(d watch.Drop, reason string, until time.Time, end waitEnd) bool {
	now := ws.now()
	w := wait{inbox: d.Inbox, name: d.Name, files: fileIDs(d), reason: reason, since: now, until: until, quiet: now, end: end}
	switch inbox := ws.inbox(d.Inbox); {
	case end == endsInCheck:
		w.expires = until
	case end == endsInFailed && inbox != nil:
		w.expires = d.FirstSeen.Add(inbox.PairTimeout)
	}
	return ws.drops.setWait(w)
}

// forgetGone forgets the waits of files that were removed.
func (ws *waits) forgetGone() {
	waits, controls := ws.drops.inInbox("")
	for _, w := range waits {
		if missing(filepath.Join(w.inbox, w.files[0].Name)) {
			ws.drops.endWait(w.key())
		}
	}
	for _, c := range controls {
		if missing(filepath.Join(c.Inbox, c.File.Name)) {
			ws.drops.forgetControl(c)
		}
	}
}

// roomRetry is the pause before a drop that waits for room is examined again, at the next scan after
// that.
const roomRetry = time.Second

// forRoom reports whether a drop has to wait for others of its inbox to end. Each gets a wait
// of its own, but the log has one line for all, because the partner chooses their number.
func (ws *waits) forRoom(d watch.Drop, inbox *config.Inbox, full string) bool {
	if full == "" {
		return false
	}
	ws.log.Once("full "+inbox.Path, "drops wait for others of their inbox to end", "inbox", inbox.Path, "reason", full)
	ws.note(d, full, ws.now().Add(roomRetry), endsInFailed)
	return true
}

// overLimit returns why a drop can't be taken in at all, or nil if it can or may wait.
func (ws *waits) overLimit(d watch.Drop, inbox *config.Inbox) *refusal {
	size := sizeOf(fileIDs(d))
	if inbox.MaxPendingBytes > 0 && size > inbox.MaxPendingBytes {
		return refusalFor("drop-too-large", "the drop's files have %s, more than all drops of this inbox together may have (max_pending_bytes is %s): "+
			"split it into smaller ones, or ask the operator", display.Amount(size, "byte"), display.Number(inbox.MaxPendingBytes))
	}
	if full := ws.drops.room(inbox, size); full != "" && ws.now().Sub(d.FirstSeen) > inbox.PairTimeout {
		return refusalFor("inbox-full", "it waited %s for earlier drops of this inbox to end: %s; upload it again when some have ended, or ask the operator",
			calendar.FormatLength(inbox.PairTimeout), full)
	}
	return nil
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
