package intake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/safeio"
	"campaignd/internal/watch"
)

// The folders that campaignd makes inside an inbox (SPEC 2).
const (
	acceptedFolder = "accepted"
	doneFolder     = "done"
	failedFolder   = "failed"
)

// MakeFolders makes accepted/, done/ and failed/ inside an inbox that exists.
func MakeFolders(inbox string) error {
	for _, name := range []string{acceptedFolder, doneFolder, failedFolder} {
		if err := os.Mkdir(filepath.Join(inbox, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	return safeio.SyncDir(inbox)
}

// folder is where the sending's files are while it is checked, scheduled or sending.
func folder(s *campaign.Sending) string {
	return filepath.Join(s.Inbox, acceptedFolder, s.FolderName())
}

// finalFolder is where its files go when it has ended (SPEC 2, where it goes).
func finalFolder(s *campaign.Sending) string {
	name := failedFolder
	if s.State == campaign.StateCompleted {
		name = doneFolder
	}
	return filepath.Join(s.Inbox, name, s.FolderName())
}

// errChanged is returned when a file is no longer the one that was looked at.
var errChanged = errors.New("changed while it was being claimed")

// claim records the drop in the store under a new id and moves its files into
// its folder. The record comes first: whatever a crash leaves, Recover finds it
// by the record and brings it to an end.
func (in *Intake) claim(d watch.Drop, now time.Time) (*campaign.Sending, error) {
	for {
		s := &campaign.Sending{Name: d.Name, Inbox: d.Inbox, ReceivedAt: now.UTC(), State: campaign.StateChecking}
		for _, f := range []*watch.File{d.CSV, d.Layout, d.Sidecar} {
			if f != nil {
				id := f.ID
				id.Name = f.Name
				s.Files = append(s.Files, id)
			}
		}
		if err := in.store.Begin(s); err != nil {
			return nil, fmt.Errorf("record claim of %q: %w", d.Name, err)
		}
		failpoint.At(failpoint.ClaimRecorded)
		free, err := in.makeFolder(s)
		if err != nil {
			return nil, in.giveBack(s, err)
		}
		if free {
			failpoint.At(failpoint.FolderMade)
			return s, in.moveFiles(s)
		}
		// A store that was made anew counts from 1 again and meets the old one's folders.
		if err := in.store.Update(s.ID, func(s *campaign.Sending) error {
			s.State, s.Filed, s.FinishedAt = campaign.StateRejected, true, now.UTC()
			s.Reason = "not used: a folder of an earlier store has this name"
			return nil
		}); err != nil {
			return nil, fmt.Errorf("skip taken name of %q: %w", d.Name, err)
		}
	}
}

// makeFolder makes the sending's folder, false if its name is taken.
func (in *Intake) makeFolder(s *campaign.Sending) (bool, error) {
	for _, f := range []string{doneFolder, failedFolder} {
		if _, err := os.Lstat(filepath.Join(s.Inbox, f, s.FolderName())); err == nil {
			return false, nil
		}
	}
	if err := MakeFolders(s.Inbox); err != nil {
		return false, err
	}
	if err := os.Mkdir(folder(s), 0o755); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	return true, safeio.SyncDir(filepath.Dir(folder(s)))
}

// moveFiles brings what is still in the inbox into the sending's folder. It can
// be called again after a crash at any point: what is there already stays.
func (in *Intake) moveFiles(s *campaign.Sending) error {
	for _, f := range s.Files {
		target := filepath.Join(folder(s), f.Name)
		if _, err := os.Lstat(target); err == nil {
			continue
		}
		source := filepath.Join(s.Inbox, f.Name)
		info, err := os.Lstat(source)
		if err != nil {
			return fmt.Errorf("claim %q: %w", f.Name, err)
		}
		if !sameFile(safeio.FileID(info), f) {
			return fmt.Errorf("claim %q: %w", f.Name, errChanged)
		}
		if err := safeio.Move(source, target); err != nil {
			return fmt.Errorf("claim %q: %w", f.Name, err)
		}
		failpoint.At(failpoint.FileMoved)
	}
	failpoint.At(failpoint.FilesMoved)
	return nil
}

// sameFile compares what a rename leaves alone (it changes the ctime).
func sameFile(a, b campaign.FileID) bool {
	return a.Inode == b.Inode && a.Device == b.Device && a.Size == b.Size && a.ModTime == b.ModTime
}

// giveBack undoes a claim that could not be made: the files go back to the inbox
// where no other has taken their name, and the record is closed. The
// drop is then met anew at the next scan. It returns cause.
func (in *Intake) giveBack(s *campaign.Sending, cause error) error {
	for _, f := range s.Files {
		source := filepath.Join(folder(s), f.Name)
		if _, err := os.Lstat(source); err != nil {
			continue
		}
		if err := safeio.Move(source, filepath.Join(s.Inbox, f.Name)); err != nil {
			// Left where it is, the record stays open and Recover ends it at the next start.
			return errors.Join(cause, fmt.Errorf("give back %q: %w", f.Name, err))
		}
	}
	failpoint.At(failpoint.GivenBack)
	os.Remove(folder(s)) // best effort: an empty folder harms nobody
	err := in.store.Update(s.ID, func(s *campaign.Sending) error {
		s.State, s.Filed, s.FinishedAt = campaign.StateRejected, true, in.now().UTC()
		s.Reason = "given back to the inbox: " + cause.Error()
		return nil
	})
	return errors.Join(cause, err)
}
