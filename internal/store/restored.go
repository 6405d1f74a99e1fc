package store

import (
	"fmt"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// A restored store lacks everything that happened after the copy was taken: messages sent
// since are Pending in it. Its file shows it (package db), or else sendings in the inbox folders
// that the store doesn't know, which intake finds and reports with Hold.

// Restored completes the sentence "the store was restored …". It is "" if the store wasn't
// restored, or if an earlier start has already held its sendings.
func (s *Store) Restored() string { return s.restored }

// restoredReason begins the reason of a sending that is held after a restore.
const restoredReason = "the store was restored "

// Hold holds every unfinished sending of a store found to be an older copy; one being
// checked is held once it is accepted. Numbers up to last are never given out again. It
// returns how many sendings it held; those that this start has already held keep their reason.
// why completes "the store was restored …".
//
// The store gets a new tag: numbers used after the copy may be used again, and their messages must
// not get keys that a receiver has seen.
func (s *Store) Hold(why string, last uint64) (held int, err error) {
	reason := fmt.Sprintf("%s%s: what was sent since is not in it. Compare before you resume", restoredReason, why)
	again := s.restored != "" // another sign of the same restore
	err = s.update(func(t *tx) error {
		held = 0
		unfinished := func(rec *record) bool { return !rec.state.Final() }
		if err := t.changeActive(unfinished, func(head *campaign.Sending, _ *record) error {
			if again && strings.Contains(head.Reason, restoredReason) {
				return nil
			}
			holdOne(head, reason)
			held++
			return nil
		}); err != nil {
			return err
		}
		return t.Renew(last)
	})
	if err != nil {
		return 0, fmt.Errorf("hold the sendings of a restored store: %w", err)
	}
	s.restored = why
	return held, nil
}

// holdOne holds one sending. One being checked is held once it is accepted. A paused one
// stays paused.
func holdOne(head *campaign.Sending, reason string) {
	switch head.State {
	case campaign.StateChecking:
		head.HoldAs = reason
		return
	case campaign.StatePaused: // "resume --all" must not resume what somebody paused
		head.Reason += "; " + reason
		return
	case campaign.StateHeld:
		reason += fmt.Sprintf(" (before that it was held: %s)", head.Reason)
	}
	head.State, head.Reason = campaign.StateHeld, reason
}

// holdRestored holds the sendings of a store whose file was restored.
func (s *Store) holdRestored() error {
	why := s.db.Restored()
	if why == "" {
		return nil
	}
	if _, err := s.Hold(why, 0); err != nil {
		return err
	}
	failpoint.At(failpoint.RestoredHeld)
	return s.db.ForgetBackup()
}

// Highest returns the highest sending number ever given out.
func (s *Store) Highest() (n uint64, err error) {
	err = s.view(func(t *tx) error { n = t.Bucket(bucketSendings).Sequence(); return nil })
	return n, err
}
