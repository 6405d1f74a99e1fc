package intake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
)

// leave writes the final files and moves the folder to done/ or failed/ in one
// rename, so that it shows there whole (SPEC 2 and 9). It can be repeated after a
// crash at any point. The sending's lock is held.
func (in *Intake) fileFolder(s *campaign.Sending) (err error) {
	defer func() {
		if err == nil {
			in.pending.remove(s.ID)
		}
	}()
	from, to := folder(s), finalFolder(s)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(to); err == nil {
			return in.store.Filed(s.ID) // the crash came between rename and record
		}
	}
	// If somebody took the folder away, the report is still owed.
	if err := in.ensureFolder(s); err != nil {
		return err
	}
	loaded, _, _, err := in.store.Load(s.ID)
	if err != nil {
		return err
	}
	if err := report.Write(from, in.store, s.ID); err != nil {
		return err
	}
	failpoint.At(failpoint.ReportsWritten)
	// report.json has the final word now.
	if err := os.Remove(filepath.Join(from, report.StatusFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove status: %w", err)
	}
	failpoint.At(failpoint.StatusRemoved)
	if err := safeio.SyncDir(from); err != nil {
		return err
	}
	if err := MakeFolders(s.Inbox); err != nil {
		return err
	}
	if err := safeio.MoveDir(from, to); err != nil {
		return fmt.Errorf("move %q to %s: %w", s.FolderName(), filepath.Base(filepath.Dir(to)), err)
	}
	failpoint.At(failpoint.FolderMoved)
	in.log.Info("drop ended", "sending", s.ID, "drop", s.Name, "state", s.State, "folder", to)
	err = in.store.Filed(s.ID)
	failpoint.At(failpoint.Filed)
	if err != nil {
		return err
	}
	return in.store.MarkReported(s.ID, loaded.ReceiptVersion) // or more: then they are written once more
}

// ensureFolder makes a sending's folder where someone took it away. It never makes
// the inbox itself: one that is gone may be a disk that isn't mounted.
func (in *Intake) ensureFolder(s *campaign.Sending) error {
	if _, err := os.Lstat(folder(s)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := MakeFolders(s.Inbox); err != nil {
		return err
	}
	if err := os.Mkdir(folder(s), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// Reopen brings the folder of a finished sending back to accepted/, so that messages
// of it can be sent again, and keeps it there until close is called, which has to be
// in any case. A crash on the way leaves one that start-up files anew. An error leaves
// nothing to close.
func (in *Intake) Reopen(id campaign.ID) (closing func(), err error) {
	unlock := in.folders.lock(id)
	defer unlock()
	s, err := in.store.Header(id)
	if err != nil {
		return nil, err
	}
	if s.State != campaign.StateCompleted {
		return func() {}, nil
	}
	in.keeper.reopen(id)
	if err := in.unfile(s); err != nil {
		in.keeper.closeReopened(id)
		return nil, fmt.Errorf("reopen %s: %w", id, err)
	}
	return func() { in.keeper.closeReopened(id) }, nil
}

func (in *Intake) unfile(s *campaign.Sending) error {
	if !s.Filed {
		return nil
	}
	if err := in.store.Update(s.ID, func(s *campaign.Sending) error { s.Filed = false; return nil }); err != nil {
		return err
	}
	failpoint.At(failpoint.Reopened)
	err := safeio.MoveDir(finalFolder(s), folder(s))
	if errors.Is(err, fs.ErrNotExist) { // tidied away
		return in.ensureFolder(s)
	}
	return err
}
