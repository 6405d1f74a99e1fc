package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/folders"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// Recover finishes what a stop or crash interrupted: it requeues open claims, writes missing
// reports, moves folders and updates the status of everything unfinished. It must be called once,
// before Run.
func (in *Intake) Recover() error {
	in.removeTemps()
	open, err := in.store.Sendings(store.Filter{States: []campaign.State{campaign.StateScheduled, campaign.StateSending,
		campaign.StatePaused, campaign.StateHeld}})
	if err != nil {
		return fmt.Errorf("recover drops: %w", err)
	}
	if err := in.restored.holdIfBehind(open); err != nil {
		return fmt.Errorf("compare the store with the inboxes: %w", err)
	}
	for s, err := range in.store.Unfiled() {
		if err != nil {
			return fmt.Errorf("recover drops: %w", err)
		}
		in.drops.add(s)
		if s.State.Final() {
			in.keeper.Changed(s.ID)
			continue
		}
		if s.Uploaded && in.recoverUpload(s) {
			continue
		}
		in.log.Info("drop found half checked; it is checked again", "sending", s.ID, "drop", s.Name)
		in.drops.begin(s)
		in.resume(s)
	}
	for _, s := range open {
		in.drops.add(s)
		in.keeper.Changed(s.ID)
	}
	return nil
}

// resume requeues a claimed drop.
func (in *Intake) resume(s *campaign.Sending) {
	var size int64
	for _, f := range s.Files {
		size = max(size, weight(f.Name, f.Size))
	}
	in.queue.put(s.Inbox, s.FolderName(), size, func(ctx context.Context) error { return in.claims.orRetry(s.ID, in.recheck(ctx, s.ID)) })
}

// recheck finishes a claimed drop from whatever step it had reached.
func (in *Intake) recheck(ctx context.Context, id campaign.ID) error {
	s, err := in.store.Header(id)
	if err != nil {
		return err
	}
	if s.State != campaign.StateChecking { // decided, although the commit returned an error
		in.drops.end(id)
		in.keeper.Changed(id)
		return nil
	}
	c := in.Checker()
	inbox := c.Config.Inbox(s.Inbox)
	if inbox == nil {
		in.log.Once("inbox "+s.Inbox, "a drop waits in an inbox that is no longer configured; add the inbox again", "sending", s.ID, "inbox", s.Inbox)
		in.drops.retryLater(id)
		return nil
	}
	if err := in.inboxes.Ensure(s.Inbox); err != nil {
		return err
	}
	if s.Uploaded && in.neverArrived(s) {
		return in.takeBack(s)
	}
	_, err = in.claims.makeFolder(s)
	if err == nil {
		err = in.claims.moveFiles(s)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && in.filesGone(s):
		return in.waitForLostFiles(s, inbox)
	case vanished(err), unmovable(err):
		return in.claims.release(s, err)
	case err != nil:
		return err
	}
	if s.Reason != "" { // claimed only to be refused
		return in.claims.refuse(s, campaign.StateRejected, s.Reason)
	}
	p, problems, err := openFolder(s, inbox)
	if err != nil {
		return err
	}
	defer p.Close()
	if problems.Count > 0 {
		s.Problems, s.ProblemCount = problems.List, problems.Count
		return in.claims.refuse(s, campaign.StateRejected, problems.List[0].String())
	}
	return in.claims.end(s, in.decide(ctx, c, s, inbox, p, nil))
}

// filesGone reports whether no file of a claim exists in its folder or the inbox.
func (in *Intake) filesGone(s *campaign.Sending) bool {
	for _, f := range s.Files {
		for _, dir := range []string{folders.Of(s), s.Inbox} {
			if _, err := os.Lstat(filepath.Join(dir, f.Name)); err == nil {
				return false
			}
		}
	}
	return true
}

// waitForLostFiles waits for the missing files of a claim. After pair_timeout the drop is refused.
func (in *Intake) waitForLostFiles(s *campaign.Sending, inbox *config.Inbox) error {
	if err := in.inboxes.Present(s.Inbox); err != nil { // its disk was unmounted a moment ago
		return err
	}
	_ = os.Remove(folders.Of(s)) // made a moment ago and empty
	if in.now().Sub(s.ReceivedAt) <= inbox.PairTimeout {
		in.log.Once("lost "+string(s.ID), "the files of a claimed drop are gone: is the inbox's disk mounted?", "sending", s.ID, "inbox", s.Inbox)
		in.drops.retryLater(s.ID)
		return nil
	}
	for _, f := range s.Files {
		s.Problems = append(s.Problems, campaign.Problem{Code: "file-removed", File: f.Name, Message: "was removed before it had been checked"})
	}
	s.ProblemCount = len(s.Problems)
	return in.claims.refuse(s, campaign.StateRejected, "the files were removed while the drop was being taken in: upload them again")
}

// openFolder opens the files of a claimed drop. A file that can't be taken is a problem of the
// drop.
func openFolder(s *campaign.Sending, inbox *config.Inbox) (*check.Parts, campaign.Problems, error) {
	p := &check.Parts{Name: s.Name}
	var problems campaign.Problems
	for _, f := range s.Files {
		file, _, err := safeio.OpenRegular(filepath.Join(folders.Of(s), f.Name))
		if kind := notTakeable(err); kind != nil {
			problems.AddCode("file-special", f.Name, 0, 0, "", "%v", kind)
			continue
		}
		if err != nil {
			p.Close()
			return nil, problems, err
		}
		if err := p.Add(f.Name, file); err != nil {
			problems.AddCode("file-special", f.Name, 0, 0, "", "%v", err)
			continue
		}
		checkLength(&problems, file, f)
	}
	for _, one := range []struct {
		there  bool
		ending string
	}{{p.CSV.File != nil, ".csv"}, {p.Layout.File != nil || inbox.Layout != "" || p.IsZip(), ".layout.json"}} {
		if !one.there && problems.Count == 0 {
			problems.AddCode("part-missing", s.Name+one.ending, 0, 0, "", "never arrived")
		}
	}
	return p, problems, nil
}
