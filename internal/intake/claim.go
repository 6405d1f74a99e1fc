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
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
	"campaignd/internal/watch"
)

// errChanged is returned when a file differs from the one that was examined.
var errChanged = errors.New("changed while it was being claimed")

// claimer takes drops out of their inbox under an id, and ends their claims: decided, given back or refused.
type claimer struct {
	common
	waits   *waits
	decided func(campaign.ID)
}

// claim records the drop in the store under a new id and moves its files into its folder. The
// record comes first, so that Recover finds and finishes whatever a crash leaves. With no set, the
// drop is claimed only to be refused. The record says so too, because a crash must not turn it
// into a drop that is checked and sent.
//
// It returns nil without an error if the drop has changed; files that were moved are back in the
// inbox and the next scan finds them. After an error the claim is retried later, if it was
// recorded at all.
func (c *claimer) claim(d watch.Drop, no *refusal) (*campaign.Sending, error) {
	if err := c.inboxes.Ensure(d.Inbox); err != nil {
		return nil, err // record nothing for an inbox that can't be written to
	}
	claim := campaign.Sending{Name: d.Name, Inbox: d.Inbox, Files: fileIDs(d)}
	if no != nil {
		claim.Reason, claim.Problems, claim.ProblemCount = no.reason, no.problems.List, no.problems.Count
	}
	s, err := c.open(claim, nil)
	if s == nil {
		return nil, fmt.Errorf("record claim of %q: %w", d.Name, err)
	}
	if err != nil {
		// Wait: one record for every scan would fill the store.
		c.waits.set(d, "its folder can't be made: "+err.Error(), c.now().Add(time.Minute), endsWithCause)
		return nil, errors.Join(err, c.orRetry(s.ID, c.release(s, err)))
	}
	switch err := c.moveFiles(s); {
	case err == nil:
		c.newest.add(s)
		c.notes.taken(s.Inbox, notedNames(s)...)
		return s, nil
	case vanished(err), unmovable(err):
		return nil, c.orRetry(s.ID, c.release(s, err))
	default:
		return nil, c.orRetry(s.ID, err)
	}
}

// open records a claim in the store under a new id, together with r (store.Begin), and makes its
// folder. If only the folder can't be made, it returns the recorded claim with the error.
func (c *claimer) open(claim campaign.Sending, r *store.Request) (*campaign.Sending, error) {
	for {
		s := claim
		s.ReceivedAt, s.State = c.now().UTC(), campaign.StateChecking
		if err := c.store.Begin(&s, r); err != nil {
			return nil, err
		}
		c.drops.begin(&s)
		failpoint.At(failpoint.ClaimRecorded)
		made, err := c.makeFolder(&s)
		if err != nil {
			return &s, err
		}
		if made {
			failpoint.At(failpoint.FolderMade)
			return &s, nil
		}
		// A new store counts from 1 again and finds the old one's folders.
		if err := c.orRetry(s.ID, c.void(&s, "not used: a folder of an earlier store has this name")); err != nil {
			return nil, err
		}
	}
}

// end ends a claim by its result: decided, to be returned because a file changed while it was
// read, or to be retried.
func (c *claimer) end(s *campaign.Sending, err error) error {
	if err == nil {
		c.drops.end(s.ID)
		return nil
	}
	if errors.Is(err, errChanged) {
		err = c.release(s, err)
	}
	return c.orRetry(s.ID, err)
}

// orRetry marks a claim for another try after an error, which it returns.
func (c *claimer) orRetry(id campaign.ID, err error) error {
	if err != nil {
		c.drops.retryLater(id)
	}
	return err
}

// notedNames returns the names under which notes on a claimed drop may be.
func notedNames(s *campaign.Sending) []string {
	names := []string{s.Name}
	for _, f := range s.Files {
		names = append(names, f.Name)
	}
	return names
}

// makeFolder makes the sending's folder. It returns false if the name is taken.
func (c *claimer) makeFolder(s *campaign.Sending) (bool, error) {
	for _, f := range []string{folders.Done, folders.Failed} {
		if _, err := os.Lstat(filepath.Join(s.Inbox, f, s.FolderName())); err == nil {
			return false, nil
		}
	}
	if err := os.Mkdir(folders.Of(s), 0o755); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("make folder: %w", err)
	}
	return true, safeio.SyncDir(filepath.Dir(folders.Of(s)))
}

// moveFiles moves the files that are still in the inbox into the sending's folder. It can be
// repeated after a crash at any point; files that are already there stay. Files of a drop to be
// refused that can't be moved stay in the inbox and are reported.
func (c *claimer) moveFiles(s *campaign.Sending) error {
	var stuck []campaign.FileID
	for _, f := range s.Files {
		target := filepath.Join(folders.Of(s), f.Name)
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
		if err := safeio.Rename(source, target); err != nil {
			if s.Reason != "" && immovable(err) {
				c.log.Warn("a refused file can't be moved and stays in the inbox", "inbox", s.Inbox, "err", err)
				stuck = append(stuck, f)
				continue
			}
			return fmt.Errorf("claim %q: %w", f.Name, err)
		}
		failpoint.At(failpoint.FileMoved)
	}
	if err := safeio.SyncMove(s.Inbox, folders.Of(s)); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	c.noteImmovable(s, stuck)
	failpoint.At(failpoint.FilesMoved)
	return nil
}

// immovable reports whether a file can never be moved: it is in another user's folder, or it would
// have to be copied to another mount and is not a plain file.
func immovable(err error) bool {
	return unmovable(err) || errors.Is(err, safeio.ErrHardLinked) || errors.Is(err, fs.ErrPermission)
}

// immovableRetry is the pause before a refused file that stays in the inbox is
// reported again.
const immovableRetry = 24 * time.Hour

// noteImmovable reports the files of a refused drop that stay in the inbox, and skips them at
// later scans: one record for every scan would fill the store.
func (c *claimer) noteImmovable(s *campaign.Sending, stuck []campaign.FileID) {
	if len(stuck) == 0 {
		return
	}
	problems := campaign.Problems{List: s.Problems, Count: s.ProblemCount}
	for _, f := range stuck {
		problems.AddCode("file-immovable", f.Name, 0, 0, "", "could not be moved and is still in the inbox: remove it there")
	}
	s.Problems, s.ProblemCount = problems.List, problems.Count
	c.drops.setWait(wait{inbox: s.Inbox, name: s.Name, files: stuck, since: c.now(), until: c.now().Add(immovableRetry), end: endsByHand,
		reason: "the drop was refused, and its files can't be moved to failed/: remove them from the inbox"})
}

// sameFile compares what a rename keeps (it changes the ctime).
func sameFile(a, b campaign.FileID) bool {
	return a.Inode == b.Inode && a.Device == b.Device && a.Size == b.Size && a.ModTime == b.ModTime
}
