package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/folders"
	"campaignd/internal/rarelog"
	"campaignd/internal/report"
	"campaignd/internal/store"
)

// A store that was restored together with the rest of its disk has no generation
// file to contradict it (store.Restored). The inboxes may be on another disk. Their
// folders are written after the store, so a store that knows less than a folder shows
// was restored from an older copy.

// compared keeps what the store knew at the start of an inbox whose disk was away then. The folders are
// compared with it when the inbox arrives; until then its sendings go out (docs/contract.md 2, the inbox must be the
// inbox).
type compared struct {
	highest uint64 // number of a sending
	open    []openSending
}

// openSending is an unfinished sending as the store knew it at the start.
type openSending struct {
	*campaign.Sending
	sent func() (uint64, error) // returns its sent messages
}

// restoreCheck holds the sendings of a store that was restored from an older copy.
type restoreCheck struct {
	store      Store
	inboxes    *folders.Inboxes
	dispatcher Dispatcher
	config     func() *config.Config
	log        *rarelog.Log

	mu   sync.Mutex           // guards late; held during a comparison, so that nothing is taken before its end
	late map[string]*compared // inboxes that are still to be compared with the store
}

// sentBy returns a function that asks the store for a sending's sent messages.
func (r *restoreCheck) sentBy(id campaign.ID) func() (uint64, error) {
	return func() (uint64, error) {
		_, _, counts, err := r.store.Load(id)
		return counts[campaign.Sent], err
	}
}

// freeze keeps what the store knows now.
func (c *compared) freeze() error {
	for i := range c.open {
		sent, err := c.open[i].sent()
		if err != nil {
			return err
		}
		c.open[i].sent = func() (uint64, error) { return sent, nil }
	}
	return nil
}

// holdIfBehind holds every sending if the folders are ahead of the store. It logs the folders in
// accepted/ that belong to no sending, because nobody else looks after them.
func (r *restoreCheck) holdIfBehind(open []*campaign.Sending) error {
	highest, err := r.store.Highest()
	if err != nil {
		return err
	}
	byInbox := map[string]*compared{}
	for _, inbox := range r.config().Inboxes {
		byInbox[filepath.Clean(inbox.Path)] = &compared{highest: highest}
	}
	for _, s := range open {
		c := byInbox[filepath.Clean(s.Inbox)]
		if c == nil {
			c = &compared{highest: highest} // no longer configured
			byInbox[filepath.Clean(s.Inbox)] = c
		}
		c.open = append(c.open, openSending{s, r.sentBy(s.ID)})
	}
	why, last := "", uint64(0)
	for inbox, c := range byInbox {
		if r.inboxes.Present(inbox) != nil {
			if err := c.freeze(); err != nil {
				return err
			}
			r.addLate(inbox, c)
			continue
		}
		behind, highest, err := r.behind(inbox, c)
		if err != nil {
			return err
		}
		if why == "" {
			why = behind
		}
		last = max(last, highest)
	}
	if why == "" {
		return nil
	}
	held, err := r.store.Hold(why, last)
	if err != nil {
		return err
	}
	r.logHeld(why, held)
	return nil
}

func (r *restoreCheck) logHeld(why string, held int) {
	if held > 0 {
		r.log.Warn("the store was restored "+why+", and every sending is held: find out what was sent since, then run: campaignd resume --all", "held", held)
	}
}

func (r *restoreCheck) addLate(inbox string, c *compared) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late[inbox] = c
}

// compareLate compares an inbox whose disk has arrived with what the store knew at the start, and holds
// every sending if its folders are ahead. It does nothing for other inboxes.
func (r *restoreCheck) compareLate(inbox string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	inbox = filepath.Clean(inbox)
	c := r.late[inbox]
	if c == nil {
		return nil
	}
	why, last, err := r.behind(inbox, c)
	if err == nil && why != "" {
		err = r.dispatcher.HoldAll(func() error {
			held, err := r.store.Hold(why, last)
			if err == nil {
				r.logHeld(why, held)
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("compare the store with inbox %q: %w", inbox, err)
	}
	delete(r.late, inbox)
	return nil
}

// behind returns how an inbox's folders show more than the store knew at the start, or "", and the
// highest number of a folder. It logs folders that belong to no sending.
func (r *restoreCheck) behind(inbox string, c *compared) (why string, last uint64, err error) {
	last, strangers := r.acceptedFolders(inbox)
	if len(strangers) > 0 {
		r.log.Warn("folders in accepted/ belong to no sending of this store, and nothing in them is sent: find out what happened to each, then move its files back into the inbox or remove the folder",
			"folders", len(strangers), "first", strangers[0])
	}
	if last > c.highest {
		return fmt.Sprintf("from an older copy: the inboxes have a folder of sending number %d, and its own highest number is %d", last, c.highest), last, nil
	}
	for _, s := range c.open {
		if why, err = s.folderAhead(); why != "" || err != nil {
			return why, last, err
		}
	}
	return "", last, nil
}

// folderAhead returns how a sending's folder shows more than the store knew, or "".
func (s openSending) folderAhead() (string, error) {
	if _, err := os.Lstat(folders.Of(s.Sending)); errors.Is(err, fs.ErrNotExist) {
		for _, place := range []string{folders.Done, folders.Failed} {
			if _, err := os.Lstat(filepath.Join(s.Inbox, place, s.FolderName())); err == nil {
				return fmt.Sprintf("from an older copy: it calls %s %s, whose folder is in %s/", s.ID, s.State, place), nil
			}
		}
		return "", nil
	}
	shown := sentByStatus(filepath.Join(folders.Of(s.Sending), report.StatusFile))
	if shown == 0 {
		return "", nil
	}
	sent, err := s.sent()
	if err != nil || shown <= sent {
		return "", err
	}
	return fmt.Sprintf("from an older copy: it counts %s of %s as sent, and status.json in the folder counts %s",
		display.Amount(sent, "message"), s.ID, display.Number(shown)), nil
}

// maxStatusRead limits the bytes read of a status.json. The counts come before the slices.
const maxStatusRead = 8 << 10

// sentByStatus returns the number of sent messages in a status.json, or 0 if it can't be read.
func sentByStatus(path string) uint64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	head := make([]byte, maxStatusRead)
	n, err := f.Read(head)
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(head[:n]), "\n  \"messages\": ")
	if !ok {
		return 0
	}
	var messages report.Messages
	if json.NewDecoder(strings.NewReader(rest)).Decode(&messages) != nil {
		return 0
	}
	return messages.Sent
}

// unknownFolders returns the folders in accepted/ that belong to no sending under way.
func (r *restoreCheck) unknownFolders() (unknown []string) {
	for _, inbox := range r.config().Inboxes {
		if r.inboxes.Present(inbox.Path) == nil {
			_, found := r.acceptedFolders(inbox.Path)
			unknown = append(unknown, found...)
		}
	}
	return unknown
}

// acceptedFolders returns the highest number of the folders in an inbox's accepted/, and those whose
// sending is unknown or already filed elsewhere.
func (r *restoreCheck) acceptedFolders(inbox string) (last uint64, unknown []string) {
	entries, err := os.ReadDir(filepath.Join(inbox, folders.Accepted))
	if err != nil {
		return 0, nil // the scans report it
	}
	for _, e := range entries {
		dot := strings.LastIndexByte(e.Name(), '.')
		id := campaign.ID(e.Name()[dot+1:])
		if dot < 1 || !e.IsDir() || id.Number() == 0 {
			continue
		}
		last = max(last, id.Number())
		s, err := r.store.Header(id)
		path := filepath.Join(inbox, folders.Accepted, e.Name())
		if errors.Is(err, store.ErrNotFound) || err == nil && s.Filed && !missing(path) { // it may have been moved a moment ago
			unknown = append(unknown, path)
		}
	}
	return last, unknown
}
