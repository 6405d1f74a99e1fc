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
	"campaignd/internal/report"
	"campaignd/internal/store"
)

// A store that was brought back together with the rest of its disk has no witness
// against it (store.Restored). The inboxes may lie elsewhere, and their folders follow the store, never
// lead it: whatever they show is in a store that wasn't restored.

// holdIfBehind holds every sending if the folders are ahead of the store, and names the folders in
// accepted/ that it doesn't know: nobody will look after them.
func (in *Intake) holdIfBehind() error {
	highest, err := in.store.Highest()
	if err != nil {
		return err
	}
	last, strangers := in.unknownFolders()
	why := ""
	if last > highest {
		why = fmt.Sprintf("from an older copy: the inboxes have a folder of sending number %d, it has come to %d", last, highest)
	}
	open, err := in.store.Sendings(store.Filter{States: []campaign.State{campaign.StateScheduled, campaign.StateSending,
		campaign.StatePaused, campaign.StateHeld}})
	if err != nil {
		return err
	}
	for i := 0; i < len(open) && why == ""; i++ {
		if why, err = in.folderAhead(open[i]); err != nil {
			return err
		}
	}
	if len(strangers) > 0 {
		in.log.Warn("folders in accepted/ belong to no sending of this store, and nothing in them is sent: see what became of each, then move its files back into the inbox or the folder away",
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
		in.log.Warn("the store was restored "+why+", and every sending is held: see what was sent since, then: campaignd resume --all", "held", held)
	}
	return nil
}

// aheadOf says how a sending's folder shows more than the store knows; "" if it doesn't.
func (in *Intake) folderAhead(s *campaign.Sending) (string, error) {
	if _, err := os.Lstat(folder(s)); errors.Is(err, fs.ErrNotExist) {
		for _, place := range []string{doneFolder, failedFolder} {
			if _, err := os.Lstat(filepath.Join(s.Inbox, place, s.FolderName())); err == nil {
				return fmt.Sprintf("from an older copy: it calls %s %s, whose folder lies in %s/", s.ID, s.State, place), nil
			}
		}
		return "", nil
	}
	_, _, counts, err := in.store.Load(s.ID)
	if err != nil {
		return "", err
	}
	if shown := sentByStatus(filepath.Join(folder(s), report.StatusFile)); shown > counts[campaign.Sent] {
		return fmt.Sprintf("from an older copy: it knows of %d sent messages of %s, whose status.json says %d", counts[campaign.Sent], s.ID, shown), nil
	}
	return "", nil
}

// mostOfStatus is how many bytes of a status.json are read: the counts stand before the slices.
const maxStatusRead = 64 << 10

// sentByStatus is how many messages a status.json says were sent; 0 if it says nothing.
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

// strangers are the folders in accepted/ of all inboxes whose sending the store doesn't
// have, and the highest number of any folder there.
func (in *Intake) unknownFolders() (last uint64, unknown []string) {
	for _, inbox := range in.checker().Config.Inboxes {
		entries, err := os.ReadDir(filepath.Join(inbox.Path, acceptedFolder))
		if err != nil {
			continue // it isn't there yet, or the scans say what is wrong with it
		}
		for _, e := range entries {
			dot := strings.LastIndexByte(e.Name(), '.')
			id := campaign.ID(e.Name()[dot+1:])
			if dot < 1 || !e.IsDir() || id.Number() == 0 {
				continue
			}
			last = max(last, id.Number())
			if _, err := in.store.Header(id); errors.Is(err, store.ErrNotFound) {
				unknown = append(unknown, filepath.Join(inbox.Path, acceptedFolder, e.Name()))
			}
		}
	}
	return last, unknown
}
