package intake

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
	"campaignd/internal/report"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// retireGroup is how many sendings are looked for at once.
const retireGroup = 100

// Retire removes the rows and results of the sendings that ended before an instant,
// from their folders first and then from the store, so that a crash between the two has it
// done again: of a folder report.json stays, without contacts. Lists of opt-outs
// and refused control files that were laid down before then go too. It returns how many sendings
// that were. One that can't be removed is logged, keeps nobody else, and is tried again the next time.
func (in *Intake) Retire(ctx context.Context, before time.Time) (int, error) {
	if err := in.store.FinishRemovals(); err != nil {
		return 0, err
	}
	in.retireLists(before)
	n, last := 0, campaign.ID("")
	for {
		list, err := in.store.EndedBefore(before, last, retireGroup)
		if err != nil || len(list) == 0 {
			return n, err
		}
		for _, s := range list {
			if ctx.Err() != nil {
				return n, nil // at a stop: the rest at the next start
			}
			gone, err := in.retire(s.ID)
			if err != nil {
				in.logOnce("retire/"+string(s.ID), "remove what is older than retention; it is tried again", "sending", s.ID, "err", err)
			}
			if gone {
				n++
			}
			last = s.ID
		}
	}
}

// retire removes one sending; false if it isn't over any more.
func (in *Intake) retire(id campaign.ID) (bool, error) {
	defer in.folders.lock(id)()
	s, err := in.store.Header(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !s.Filed {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := in.strip(s); err != nil {
		return false, err
	}
	failpoint.At(failpoint.Stripped)
	gone, err := in.store.Remove(id)
	if err != nil || !gone {
		return false, err
	}
	return true, in.store.Audit(store.AuditEntry{Who: "daemon", Action: "retention", Sending: id})
}

// strip leaves nothing but report.json in a sending's folder. A folder that is
// gone has nothing to be removed from it, but an inbox that is gone may be a disk that isn't mounted.
func (in *Intake) strip(s *campaign.Sending) error {
	root, err := os.OpenRoot(s.Inbox) // partners write here: no link of theirs leads out of it
	if errors.Is(err, fs.ErrNotExist) && in.inbox(s.Inbox) == nil {
		return nil // it is no inbox any more
	}
	if err != nil {
		return fmt.Errorf("open inbox: %w", err)
	}
	defer root.Close()
	path := finalFolder(s)
	name, err := filepath.Rel(s.Inbox, path)
	if err != nil {
		return err
	}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil // somebody took it away, and perhaps laid something else there, which isn't ours
	}
	if err != nil {
		return err
	}
	if err := report.Strip(path, in.store, s.ID); err != nil {
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

// retireLists removes the control files and lists of opt-outs that were laid into done/
// and failed/ before then. What can't be removed is logged once.
func (in *Intake) retireLists(before time.Time) {
	for _, inbox := range in.checker().Config.Inboxes {
		for _, place := range []string{doneFolder, failedFolder} {
			dir := filepath.Join(inbox.Path, place)
			if err := removeControls(dir, before); err != nil {
				in.logOnce("retire/"+dir, "remove lists and control files older than retention; it is tried again", "folder", dir, "err", err)
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
		// Its time of change is when it was laid there: that of writing may be the partner's.
		if time.Unix(0, safeio.FileID(info).Change).Before(before) {
			err = errors.Join(err, root.Remove(e.Name()))
		}
	}
	return err
}

// isControl reports whether a name is that of a control file, or of the report on one, with
// what was added where it was taken: the time, a number.
func isControl(name string) bool {
	name = strings.TrimSuffix(name, stampedReport)
	for watch.ParseName(name).Action == "" {
		i := strings.LastIndexByte(name, '.')
		if i <= 0 || i == len(name)-1 || strings.Trim(name[i+1:], "0123456789TZ") != "" {
			return false
		}
		name = name[:i]
	}
	return true
}

const (
	stampLayout   = "20060102T150405Z" // what controlPlace adds to a name that is taken
	stampedReport = ".report.txt"
)
