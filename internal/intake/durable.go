package intake

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
)

// syncFiles makes the contents of a claimed drop's files durable. Files that aren't regular have
// none.
func syncFiles(s *campaign.Sending) error {
	for _, f := range s.Files {
		if err := safeio.SyncFile(filepath.Join(folders.Of(s), f.Name)); err != nil && notTakeable(err) == nil {
			return fmt.Errorf("make %q durable: %w", f.Name, err)
		}
	}
	return nil
}

// takeOwnership makes the daemon the owner of a claimed drop's files, so that a partner's account
// can read them and no longer change them after the check.
func takeOwnership(s *campaign.Sending) error {
	for _, f := range s.Files {
		err := safeio.Own(filepath.Join(folders.Of(s), f.Name))
		if errors.Is(err, safeio.ErrChanged) {
			return fmt.Errorf("%w: %w", errChanged, err)
		}
		if err != nil && notTakeable(err) == nil {
			return err
		}
	}
	return nil
}

// checkLength reports a claimed file whose length has changed: a power cut came before its content
// was on disk, and the rest must not pass for the complete file.
func checkLength(problems *campaign.Problems, file *os.File, f campaign.FileID) {
	if stat, err := file.Stat(); err == nil && stat.Size() != f.Size {
		problems.AddCode("power-cut", f.Name, 0, 0, "", "has %s, and had %s when it was taken in: the machine lost power before all of it was on disk; upload it again",
			display.Amount(stat.Size(), "byte"), display.Number(f.Size))
	}
}

// removeTemps removes the temporary files that a crash left where campaignd writes. It may be
// called only while nothing else runs. Files that can't be removed do no harm. Those in a sending's
// folder are removed when it is filed.
func (in *Intake) removeTemps() {
	if err := safeio.RemoveTemps(in.stateDir); err != nil {
		in.log.Warn("remove temporary files of the last run", "folder", in.stateDir, "err", err)
	}
	for _, inbox := range in.Checker().Config.Inboxes {
		accepted := filepath.Join(inbox.Path, folders.Accepted)
		folders := []string{inbox.Path, accepted, filepath.Join(inbox.Path, folders.Done), filepath.Join(inbox.Path, folders.Failed)}
		if in.inboxes.Present(inbox.Path) != nil {
			continue
		}
		var err error
		for _, one := range folders {
			err = errors.Join(err, safeio.RemoveTemps(one))
		}
		if err != nil {
			in.log.Warn("remove temporary files of the last run", "inbox", inbox.Path, "err", err)
		}
	}
}
