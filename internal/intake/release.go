package intake

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

// release undoes a claim whose files have changed. Moved files return to the inbox, where the
// next scan finds them. If another file has taken a name meanwhile, the drop ends in failed/ with
// a report. An error concerns the machine, and the caller retries the claim later.
func (c *claimer) release(s *campaign.Sending, cause error) error {
	if err := c.inboxes.Present(s.Inbox); err != nil { // the files didn't change, their disk is away
		return err
	}
	if vanished(cause) {
		c.log.Info("drop changed while it was taken in; it will be examined again", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name, "why", cause)
	} else { // a fault of the machine, which is logged by the failed step
		c.log.Debug("drop goes back to the inbox", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name, "why", cause)
	}
	var replaced campaign.Problems
	for _, f := range s.Files {
		here := filepath.Join(folders.Of(s), f.Name)
		if _, err := os.Lstat(here); err != nil {
			continue
		}
		err := safeio.Move(here, filepath.Join(s.Inbox, f.Name))
		if errors.Is(err, safeio.ErrExists) {
			replaced.AddCode("file-replaced", f.Name, 0, 0, "", "was replaced while the drop was being taken in; the newer file counts, as part of a new drop")
			continue
		}
		if err != nil {
			return fmt.Errorf("give back %q: %w", f.Name, err)
		}
	}
	if replaced.Count > 0 {
		s.Problems, s.ProblemCount = replaced.List, replaced.Count
		return c.refuse(s, campaign.StateRejected, replaced.List[0].String())
	}
	failpoint.At(failpoint.GivenBack)
	if err := c.inboxes.Present(s.Inbox); err != nil { // a file may still be in the sending's folder
		return err
	}
	if err := c.store.DiscardRows(s.ID); err != nil {
		return fmt.Errorf("give back %s: %w", s.ID, err)
	}
	for _, own := range []string{report.StatusFile, report.StatusTextFile, report.RejectedFile} {
		if err := os.Remove(filepath.Join(folders.Of(s), own)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("clear folder", "sending", s.ID, "err", err)
		}
	}
	_ = os.Remove(folders.Of(s)) // one that isn't empty, or was never made, does no harm
	return c.void(s, "given back to the inbox: "+cause.Error())
}

// void closes the record of a claim without a drop. Such a record keeps no files.
func (c *claimer) void(s *campaign.Sending, reason string) error {
	err := c.store.Update(s.ID, func(s *campaign.Sending) error {
		s.State, s.Filed, s.FinishedAt = campaign.StateRejected, true, c.now().UTC()
		s.Reason, s.Files = reason, nil
		s.Problems, s.ProblemCount = nil, 0
		return nil
	})
	if err != nil {
		return fmt.Errorf("close claim %s: %w", s.ID, err)
	}
	c.drops.remove(s.ID)
	return nil
}
