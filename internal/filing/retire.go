package filing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// retireGroup is the number of sendings that are read at once.
const retireGroup = 100

// Retire removes rows and results of the sendings that ended before an instant, first from their
// folders and then from the store; after a crash between the two it starts again. report.json
// stays, without contacts. Lists of opt-outs and refused control files filed before then are
// removed too. Retire returns the number of sendings. One that can't be removed is logged, stops
// no other, and is tried again next time.
func (k *Keeper) Retire(ctx context.Context, before time.Time) (int, error) {
	if err := k.store.FinishRemovals(); err != nil {
		return 0, err
	}
	k.retireLists(before)
	n, last := 0, campaign.ID("")
	for {
		list, err := k.store.EndedBefore(before, last, retireGroup)
		if err != nil || len(list) == 0 {
			return n, err
		}
		for _, s := range list {
			if ctx.Err() != nil {
				return n, nil // at a stop; the next start does the rest
			}
			gone, err := k.retire(s.ID)
			if err != nil && !folders.IsAway(err) {
				k.log.Once("retire/"+string(s.ID), "removing data older than retention failed; retrying", "sending", s.ID, "err", err)
			}
			if gone {
				n++
			}
			last = s.ID
		}
	}
}

// retire removes one sending. It returns false if the sending isn't filed.
func (k *Keeper) retire(id campaign.ID) (bool, error) {
	defer k.folders.Lock(id)()
	s, err := k.store.Header(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !s.Filed {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := k.strip(s); err != nil {
		return false, err
	}
	failpoint.At(failpoint.Stripped)
	gone, err := k.store.Remove(id)
	if err != nil || !gone {
		return false, err
	}
	return true, k.store.Audit(store.AuditEntry{Who: "daemon", Action: "retention", Sending: id})
}

// strip removes everything but report.json from a sending's folder. A missing folder needs
// nothing; a missing inbox is an error, because its disk may not be mounted.
func (k *Keeper) strip(s *campaign.Sending) error {
	root, err := k.inboxes.Open(s.Inbox) // partners can write here, so links must not lead out of it
	if errors.Is(err, fs.ErrNotExist) && k.config().Inbox(s.Inbox) == nil {
		return nil // no longer an inbox
	}
	if err != nil {
		return fmt.Errorf("open inbox: %w", err)
	}
	defer root.Close()
	path := folders.Final(s)
	name, err := filepath.Rel(s.Inbox, path)
	if err != nil {
		return err
	}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil // somebody removed or replaced it
	}
	if err != nil {
		return err
	}
	if err := report.Strip(path, k.store, s.ID); err != nil {
		return err
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	for _, one := range names {
		if one == report.ReportFile {
			continue
		}
		if err := root.RemoveAll(filepath.Join(name, one)); err != nil {
			return err
		}
	}
	return safeio.SyncDir(path)
}

// retireLists removes the control files and lists of opt-outs that were filed before an instant.
// Failures are logged once.
func (k *Keeper) retireLists(before time.Time) {
	for _, inbox := range k.config().Inboxes {
		for _, place := range []string{folders.Done, folders.Failed} {
			dir := filepath.Join(inbox.Path, place)
			if k.inboxes.Present(inbox.Path) != nil {
				continue
			}
			if err := removeControls(dir, before); err != nil {
				k.log.Once("retire/"+dir, "removing lists and control files older than retention failed; retrying", "folder", dir, "err", err)
			}
		}
	}
}

func removeControls(dir string, before time.Time) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, e := range entries {
		if !e.Type().IsRegular() || !isControl(e.Name()) {
			continue
		}
		info, infoErr := e.Info()
		if errors.Is(infoErr, fs.ErrNotExist) {
			continue
		}
		if infoErr != nil {
			err = errors.Join(err, infoErr)
			continue
		}
		// The ctime is the time of filing; the partner may have set the mtime.
		if time.Unix(0, safeio.FileID(info).Change).Before(before) {
			err = errors.Join(err, root.Remove(e.Name()))
		}
	}
	return err
}

// isControl reports whether a name is that of a control file or of its report, with the time or
// number that was appended if the name was taken.
func isControl(name string) bool {
	name = strings.TrimSuffix(name, folders.ReportEnding)
	for watch.ParseName(name).Action == "" {
		i := strings.LastIndexByte(name, '.')
		if i <= 0 || i == len(name)-1 || strings.Trim(name[i+1:], "0123456789TZ") != "" {
			return false
		}
		name = name[:i]
	}
	return true
}
