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

// giveBack undoes a claim whose files are not what they were: those that were
// moved go back to the inbox and are met anew at the next scan. Where another
// file has taken a name meanwhile, the older one has nowhere to go: then it ends
// in failed/ with a report. The error is of the machine; the claim rests then.
func (in *Intake) releaseClaim(s *campaign.Sending, cause error) error {
	if vanished(cause) || errors.Is(cause, errChanged) {
		in.log.Info("drop changed while it was taken in; it is met anew", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name, "why", cause)
	} else { // the machine's trouble, which is said once, by whoever met it
		in.log.Debug("drop goes back to the inbox", "sending", s.ID, "inbox", s.Inbox, "drop", s.Name, "why", cause)
	}
	var replaced campaign.Problems
	for _, f := range s.Files {
		here := filepath.Join(folder(s), f.Name)
		if _, err := os.Lstat(here); err != nil {
			continue
		}
		err := safeio.Move(here, filepath.Join(s.Inbox, f.Name))
		if errors.Is(err, safeio.ErrExists) {
			replaced.Addf(f.Name, 0, 0, "", "another file of this name came while the drop was being taken in; that one counts, as a new drop")
			continue
		}
		if err != nil {
			in.claims.retryLater(s.ID)
			return fmt.Errorf("give back %q: %w", f.Name, err)
		}
	}
	if replaced.Count > 0 {
		s.Problems, s.ProblemCount = replaced.List, replaced.Count
		return in.refuse(s, campaign.StateRejected, replaced.List[0].String())
	}
	failpoint.At(failpoint.GivenBack)
	if err := in.store.DiscardRows(s.ID); err != nil {
		in.claims.retryLater(s.ID)
		return fmt.Errorf("give back %s: %w", s.ID, err)
	}
	for _, own := range []string{report.StatusFile, report.RejectedFile} {
		if err := os.Remove(filepath.Join(folder(s), own)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			in.log.Warn("clear folder", "sending", s.ID, "err", err)
		}
	}
	_ = os.Remove(folder(s)) // one that isn't empty, or never was made, harms nobody
	return in.voidClaim(s, "given back to the inbox: "+cause.Error())
}

// void closes the record of a claim that came to nothing. It keeps no files, by
// which it is known.
func (in *Intake) voidClaim(s *campaign.Sending, reason string) error {
	err := in.store.Update(s.ID, func(s *campaign.Sending) error {
		s.State, s.Filed, s.FinishedAt = campaign.StateRejected, true, in.now().UTC()
		s.Reason, s.Files = reason, nil
		s.Problems, s.ProblemCount = nil, 0
		return nil
	})
	if err != nil {
		in.claims.retryLater(s.ID)
		return fmt.Errorf("close claim %s: %w", s.ID, err)
	}
	in.claims.end(s.ID)
	in.pending.remove(s.ID)
	return nil
}

// isVoid reports whether a sending is a claim that came to nothing.
func isVoid(s *campaign.Sending) bool { return s.State == campaign.StateRejected && len(s.Files) == 0 }
