package intake

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/watch"
)

// wait is a drop that is complete by its names but not by its contents.
type wait struct {
	files  []campaign.FileID // as examined; if they differ, the drop is examined again
	since  time.Time
	until  time.Time // time of the next examination; zero if only a change causes one
	reason string
	noteTimes
}

// listWait is the wait of a list of opt-outs for room in its inbox.
type listWait struct {
	control watch.Control
	since   time.Time
	reason  string
}

// setListWait records why a list waits.
func (in *Intake) setListWait(c watch.Control, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	key := [2]string{c.Inbox, c.File.Name}
	w := listWait{c, in.now(), reason}
	if old, had := in.lists[key]; had {
		w.since = old.since
	}
	in.lists[key] = w
}

func (in *Intake) endListWait(c watch.Control) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.lists, [2]string{c.Inbox, c.File.Name})
}

// stillWaits reports whether nothing has changed for a drop that was examined and has to wait.
func (in *Intake) stillWaits(d watch.Drop) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	w, ok := in.waits[[2]string{d.Inbox, d.Name}]
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
	inbox = filepath.Clean(inbox)
	in.mu.Lock()
	defer in.mu.Unlock()
	var list []Wait
	for key, w := range in.waits {
		if key[0] == inbox {
			list = append(list, Wait{Name: key[1], Reason: w.reason, Since: w.since})
		}
	}
	for key, w := range in.lists {
		if key[0] == inbox {
			list = append(list, Wait{Name: key[1], Reason: w.reason, Since: w.since})
		}
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
	in.mu.Lock()
	defer in.mu.Unlock()
	key := [2]string{d.Inbox, d.Name}
	old, had := in.waits[key]
	w := wait{files: fileIDs(d), since: in.now(), until: until, reason: reason}
	w.quiet = w.since
	if had {
		w.since = old.since
		if slices.Equal(old.files, w.files) {
			w.quiet = old.quiet
		}
	}
	if inbox := in.inbox(d.Inbox); inbox != nil {
		w.expires = d.FirstSeen.Add(inbox.PairTimeout)
	}
	in.waits[key] = w
	return !had || old.reason != reason
}

func (in *Intake) endWait(inbox, name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.waits, [2]string{inbox, name})
}

// forgetGone drops the records about files that were removed.
func (in *Intake) forgetGone() {
	in.mu.Lock()
	waits, controls := map[[2]string]string{}, map[[2]string]string{}
	for key, w := range in.waits {
		waits[key] = w.files[0].Name
	}
	for key, kept := range in.deferredControls {
		controls[key] = kept[0].File.Name
	}
	lists := slices.Collect(maps.Values(in.lists))
	in.mu.Unlock()
	for _, w := range lists {
		if missing(filepath.Join(w.control.Inbox, w.control.File.Name)) {
			in.endListWait(w.control)
		}
	}
	for key, name := range waits {
		if missing(filepath.Join(key[0], name)) {
			in.endWait(key[0], key[1])
		}
	}
	for key, name := range controls {
		if missing(filepath.Join(key[0], name)) {
			in.mu.Lock()
			delete(in.deferredControls, key)
			in.mu.Unlock()
		}
	}
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
