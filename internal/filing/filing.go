package filing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
)

// fileFolder writes the final files and moves the folder to done/ or failed/ in one rename, so
// that it is complete as soon as it appears there (docs/contract.md 2 and 9). It can be repeated
// after a crash at any point. The caller holds the sending's lock.
func (k *Keeper) fileFolder(s *campaign.Sending) (err error) {
	defer func() {
		if err == nil {
			k.filedFolder(s.ID)
		}
	}()
	if err := k.inboxes.Present(s.Inbox); err != nil {
		return err
	}
	from, to := folders.Of(s), folders.Final(s)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(to); err == nil {
			return k.filed(s) // the crash came between rename and record
		}
	}
	// Write the report even if somebody removed the folder.
	if err := k.ensureFolder(s); err != nil {
		return err
	}
	loaded, _, _, err := k.store.Load(s.ID)
	if err != nil {
		return err
	}
	if err := report.Write(from, k.store, s.ID, k.config().Zone(s.ApplicationID)); err != nil {
		return err
	}
	failpoint.At(failpoint.ReportsWritten)
	if err := safeio.RemoveTemps(from); err != nil { // of a write whose disk went away
		return fmt.Errorf("remove temporary files: %w", err)
	}
	for _, replaced := range []string{report.StatusFile, report.StatusTextFile, report.PartialFile} {
		if err := os.Remove(filepath.Join(from, replaced)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove status: %w", err)
		}
	}
	failpoint.At(failpoint.StatusRemoved)
	if err := safeio.SyncDir(from); err != nil {
		return err
	}
	if err := k.inboxes.Ensure(s.Inbox); err != nil {
		return err
	}
	if err := safeio.MoveDir(from, to); err != nil {
		return fmt.Errorf("move %q to %s: %w", s.FolderName(), filepath.Base(filepath.Dir(to)), err)
	}
	failpoint.At(failpoint.FolderMoved)
	k.log.Info("drop ended", "sending", s.ID, "drop", s.Name, "state", s.State, "folder", to)
	err = k.filed(s)
	failpoint.At(failpoint.Filed)
	if err != nil {
		return err
	}
	return k.store.MarkReported(s.ID, loaded.ReceiptVersion) // newer receipts cause another report
}

// filed records that the folder is in its final place, and that the inbox's notify_url is to hear of it.
func (k *Keeper) filed(s *campaign.Sending) error {
	inbox := k.config().Inbox(s.Inbox)
	notify := inbox != nil && inbox.NotifyURL != "" && !s.Void()
	if err := k.store.Filed(s.ID, notify); err != nil || !notify {
		return err
	}
	k.ended()
	return nil
}

// ensureFolder makes a sending's folder if somebody removed it. It never makes the inbox: the disk
// of a missing inbox may not be mounted.
func (k *Keeper) ensureFolder(s *campaign.Sending) error {
	if _, err := os.Lstat(folders.Of(s)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := k.inboxes.Ensure(s.Inbox); err != nil {
		return err
	}
	if err := os.Mkdir(folders.Of(s), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// Reopen moves the folder of a finished sending back to accepted/, so that messages of it can be
// sent again. It stays there until closing is called, which the caller must always do. After a
// crash the start files it again. After an error closing is nil.
func (k *Keeper) Reopen(id campaign.ID) (closing func(), err error) {
	unlock := k.folders.Lock(id)
	defer unlock()
	s, err := k.store.Header(id)
	if err != nil {
		return nil, err
	}
	if s.State != campaign.StateCompleted {
		return func() {}, nil
	}
	if err := k.inboxes.Present(s.Inbox); err != nil {
		return nil, fmt.Errorf("reopen %s: %w", id, err)
	}
	k.reopen(id)
	if err := k.unfile(s); err != nil {
		k.closeReopened(id)
		return nil, fmt.Errorf("reopen %s: %w", id, err)
	}
	return func() { k.closeReopened(id) }, nil
}

func (k *Keeper) unfile(s *campaign.Sending) error {
	if !s.Filed {
		return nil
	}
	if err := k.store.Update(s.ID, func(s *campaign.Sending) error { s.Filed = false; return nil }); err != nil {
		return err
	}
	failpoint.At(failpoint.Reopened)
	err := safeio.MoveDir(folders.Final(s), folders.Of(s))
	if errors.Is(err, fs.ErrNotExist) { // removed by somebody
		return k.ensureFolder(s)
	}
	return err
}
