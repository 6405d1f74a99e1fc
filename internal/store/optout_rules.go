package store

import (
	"bytes"
	"fmt"

	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// UseOptOutRules sets the rules by which opt-outs are compared. If their Version isn't the one
// by which the stored opt-outs have their keys, it computes all keys again, some ten thousand a
// transaction; until it returns, OptedOut finds them by the former rules too. An interrupted
// run continues at the next call. Don't call it concurrently.
func (s *Store) UseOptOutRules(rules OptOutRules) error {
	before := s.optOuts.Load()
	current := false
	if err := s.view(func(t *tx) error {
		current = string(t.Bucket(db.Meta).Get(metaOptOutRules)) == rules.Version
		return nil
	}); err != nil {
		return err
	}
	if current {
		s.optOuts.Store(&optOutRules{OptOutRules: rules})
		return nil
	}
	s.optOuts.Store(&optOutRules{OptOutRules: rules, before: &before.OptOutRules})
	if err := s.rekeyOptOuts(&rules); err != nil {
		return fmt.Errorf("compute the keys of opt-outs again: %w", err)
	}
	s.optOuts.Store(&optOutRules{OptOutRules: rules})
	s.optOutVersion.Add(1)
	return nil
}

// rekeyOptOuts gives every opt-out its key by new rules.
func (s *Store) rekeyOptOuts(rules *OptOutRules) error {
	from := []byte{}
	for from != nil {
		var moved []optOutMove
		err := s.view(func(t *tx) (err error) {
			moved, from, err = t.misplacedOptOuts(rules, from)
			return err
		})
		if err != nil {
			return err
		}
		if len(moved) == 0 {
			continue
		}
		if err := s.update(func(t *tx) error { return t.moveOptOuts(moved) }); err != nil {
			return err
		}
	}
	return s.update(func(t *tx) error { return t.Bucket(db.Meta).Put(metaOptOutRules, []byte(rules.Version)) })
}

// optOutMove is an opt-out whose key has changed.
type optOutMove struct {
	optOutChange
	old []byte
}

// misplacedOptOuts looks from a block on for opt-outs with another key than the rules give,
// and returns the block to continue from, nil at the end.
func (t *tx) misplacedOptOuts(rules *OptOutRules, from []byte) (moved []optOutMove, next []byte, err error) {
	c := t.Bucket(bucketOptOuts).Cursor()
	seen := 0
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if seen >= optOutRekey {
			return moved, bytes.Clone(k), nil
		}
		application, channel, prefix, ok := splitOptOutKey(k)
		if !ok {
			return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, codec.ErrMalformed)
		}
		entries, err := decodeOptOuts(v)
		if err != nil {
			return nil, nil, err
		}
		seen += len(entries)
		for _, e := range entries {
			given, err := unspell(e.key, e.spelling)
			if err != nil {
				return nil, nil, err
			}
			if key := rules.key(nil, application, channel, given); !bytes.Equal(key, e.key) {
				moved = append(moved, optOutMove{optOutChange{prefix: bytes.Clone(prefix), key: key, spelling: spell(key, given), number: e.origin}, e.key})
			}
		}
	}
	return moved, nil, nil
}

// moveOptOuts removes opt-outs under their old keys and adds them under the new ones. Of two
// that become one the one that is there already stays.
func (t *tx) moveOptOuts(moved []optOutMove) error {
	changes := make([]optOutChange, 0, len(moved))
	for _, m := range moved {
		there, err := t.removeOptOut(m.prefix, m.old)
		if err != nil {
			return err
		}
		if there { // it may have been removed meanwhile
			changes = append(changes, m.optOutChange)
		}
	}
	sortOptOuts(changes)
	merger := optOutMerger{t: t}
	for len(changes) > 0 {
		var err error
		if changes, err = merger.add(changes); err != nil {
			return err
		}
		merger.added = 0
	}
	return nil
}
