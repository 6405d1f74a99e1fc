package store

import (
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// A restored store lacks everything that happened after the copy was taken: messages sent
// since are Pending in it. It is recognized by one of these, in this order:
//
//   - the trailer that Backup writes, whatever the copy's name;
//   - an empty file next to it, made by a person (a snapshot of a whole machine shows nothing else);
//   - its epoch: the store was in a cluster, and nobody has looked whether another hub has gone on since;
//   - its generation file: the store is an older copy, or another store than the last one here;
//   - sendings in the inbox folders that the store doesn't know, which intake finds and reports with Hold.

// Restored completes the sentence "the store was restored …". It is "" if the store wasn't
// restored, or if an earlier start has already held its sendings.
func (s *Store) Restored() string { return s.restored }

// Hold holds every unfinished sending of a store found to be an older copy; one being
// checked is held once it is accepted. Numbers up to last are never given out again. It
// returns how many sendings it held. why completes "the store was restored …".
func (s *Store) Hold(why string, last uint64) (int, error) {
	held, err := s.hold(why, generation{last: last})
	if err != nil {
		return 0, fmt.Errorf("hold the sendings of a restored store: %w", err)
	}
	return held, nil
}

// hold holds the sendings and gives the store a new tag: numbers used after the copy may
// be used again, and their messages must not get keys that a receiver has seen.
func (s *Store) hold(why string, past generation) (held int, err error) {
	reason := fmt.Sprintf("the store was restored %s: what was sent since is not in it. Compare before you resume", why)
	err = s.update(func(t *tx) error {
		held = 0
		var open []uint64
		if err := t.eachActive(func(n uint64, rec *record) error {
			if !rec.state.Final() {
				open = append(open, n)
			}
			return nil
		}); err != nil {
			return err
		}
		for _, n := range open {
			if err := t.change(n, func(head *campaign.Sending, _ *record) error {
				holdRestored(head, reason)
				return nil
			}); err != nil {
				return err
			}
		}
		held = len(open)
		meta, sendings := t.bucket(bucketMeta), t.bucket(bucketSendings)
		if err := meta.SetSequence(max(meta.Sequence(), past.count)); err != nil {
			return err
		}
		if err := sendings.SetSequence(max(sendings.Sequence(), past.last)); err != nil {
			return err
		}
		if !s.opts.Checked {
			if err := meta.Delete(metaEpoch); err != nil {
				return err
			}
		}
		return newTag(meta)
	})
	if err != nil {
		return 0, err
	}
	s.restored = why
	return held, s.view(func(t *tx) error { return s.readTag(t) })
}

// holdRestored holds one sending. One being checked is held once it is accepted. A paused one
// stays paused.
func holdRestored(head *campaign.Sending, reason string) {
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

// checkRestored detects a restored store at Open, and holds its sendings.
func (s *Store) checkRestored(end *trailer) error {
	past, err := readGeneration(s.path)
	if err != nil {
		return err
	}
	var now generation
	some, replicated := false, false
	if err := s.view(func(t *tx) error {
		first, _ := t.bucket(bucketSendings).Cursor().First()
		now, some = t.generation(), first != nil
		replicated = t.position().Epoch != 0
		return nil
	}); err != nil {
		return err
	}
	s.openGeneration(past)
	why := past.behind(now, some)
	switch {
	case end != nil && end.at.IsZero():
		why = "as the file beside it says"
	case end != nil:
		why = fmt.Sprintf("from a backup of %s", end.at.Format("2006-01-02 15:04:05 UTC"))
	case replicated && !s.opts.Checked:
		why = "as a copy that no log in NATS confirms"
	case why == "" && now.last < past.last: // created after a loss: the lost store's numbers stay used
		return s.update(func(t *tx) error { return t.bucket(bucketSendings).SetSequence(past.last) })
	case why == "":
		s.writeGeneration(now)
		return nil
	}
	if _, err := s.hold(why, past); err != nil {
		return err
	}
	failpoint.At(failpoint.RestoredHeld)
	if end == nil {
		return nil
	}
	return removeTrailer(s.path, *end)
}

// Highest returns the highest sending number ever given out.
func (s *Store) Highest() (n uint64, err error) {
	err = s.view(func(t *tx) error { n = t.bucket(bucketSendings).Sequence(); return nil })
	return n, err
}
