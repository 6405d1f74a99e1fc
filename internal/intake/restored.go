package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/store"
)

// A store that was restored together with the rest of its disk has no generation
// file to contradict it (store.Restored). The inboxes may be on another disk. Their
// folders are written after the store, so a store that knows less than a folder shows
// was restored from an older copy.

// holdIfBehind holds every sending if the folders are ahead of the store. It logs the folders in
// accepted/ that belong to no sending, because nobody else looks after them.
func (in *Intake) holdIfBehind(open []*campaign.Sending) error {
	highest, err := in.store.Highest()
	if err != nil {
		return err
	}
	last, strangers := in.acceptedFolders()
	why := ""
	if last > highest {
		why = fmt.Sprintf("from an older copy: the inboxes have a folder of sending number %d, and its own highest number is %d", last, highest)
	}
	away := map[string]bool{}
	for _, s := range open {
		if _, known := away[s.Inbox]; !known {
			away[s.Inbox] = in.inboxes.Present(s.Inbox) != nil
		}
		if why != "" || away[s.Inbox] {
			continue
		}
		if why, err = in.folderAhead(s); err != nil {
			return err
		}
	}
	if len(strangers) > 0 {
		in.log.Warn("folders in accepted/ belong to no sending of this store, and nothing in them is sent: find out what happened to each, then move its files back into the inbox or remove the folder",
			"folders", len(strangers), "first", strangers[0])
	}
	if why == "" {
		return nil
	}
	held, err := in.store.Hold(why, last)
	if err != nil {
		return err
	}
	if held > 0 {
		in.log.Warn("the store was restored "+why+", and every sending is held: find out what was sent since, then run: campaignd resume --all", "held", held)
	}
	return nil
}

// folderAhead returns how a sending's folder shows more than the store knows, or "".
func (in *Intake) folderAhead(s *campaign.Sending) (string, error) {
	if _, err := os.Lstat(folders.Of(s)); errors.Is(err, fs.ErrNotExist) {
		for _, place := range []string{folders.Done, folders.Failed} {
			if _, err := os.Lstat(filepath.Join(s.Inbox, place, s.FolderName())); err == nil {
				return fmt.Sprintf("from an older copy: it calls %s %s, whose folder is in %s/", s.ID, s.State, place), nil
			}
		}
		return "", nil
	}
	shown := sentByStatus(filepath.Join(folders.Of(s), report.StatusFile))
	if shown == 0 {
		return "", nil
	}
	_, _, counts, err := in.store.Load(s.ID)
	if err != nil {
		return "", err
	}
	if shown > counts[campaign.Sent] {
		return fmt.Sprintf("from an older copy: it knows of %d sent messages of %s, whose status.json says %d", counts[campaign.Sent], s.ID, shown), nil
	}
	return "", nil
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

// UnknownFolders returns the folders in accepted/ that belong to no sending under way.
func (in *Intake) UnknownFolders() []string {
	_, unknown := in.acceptedFolders()
	return unknown
}

// acceptedFolders returns the highest number of the folders in accepted/ of all inboxes, and those
// whose sending is unknown or already filed elsewhere.
func (in *Intake) acceptedFolders() (last uint64, unknown []string) {
	for _, inbox := range in.checker().Config.Inboxes {
		if in.inboxes.Present(inbox.Path) != nil {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(inbox.Path, folders.Accepted))
		if err != nil {
			continue // the scans report it
		}
		for _, e := range entries {
			dot := strings.LastIndexByte(e.Name(), '.')
			id := campaign.ID(e.Name()[dot+1:])
			if dot < 1 || !e.IsDir() || id.Number() == 0 {
				continue
			}
			last = max(last, id.Number())
			s, err := in.store.Header(id)
			path := filepath.Join(inbox.Path, folders.Accepted, e.Name())
			if errors.Is(err, store.ErrNotFound) || err == nil && s.Filed && !missing(path) { // it may have been moved a moment ago
				unknown = append(unknown, path)
			}
		}
	}
	return last, unknown
}
