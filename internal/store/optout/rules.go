package optout

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

const (
	// maxContactKey is the longest contact used as a key; a longer one is replaced by its digest.
	maxContactKey = 512
	// rekeyEntries limits the opt-outs whose keys one transaction computes again.
	rekeyEntries = 50_000
)

// Rules decide how opt-outs are compared and how many there may be.
type Rules struct {
	// Version identifies the rules: when it changes, every opt-out gets its key again.
	Version string
	// Key appends the normal form of a contact of an application's channel ("": any channel) to
	// dst. A text that is no contact is appended as it is, so that nothing is lost. Key must be
	// safe for concurrent use, and is given the text as it was written, never a key.
	Key func(dst []byte, application int64, channelType string, contact []byte) []byte
	// Max is the most opt-outs that may be stored; 0: any number.
	Max uint64
}

// ErrTooManyOptOuts is returned when an opt-out would exceed Rules.Max.
var ErrTooManyOptOuts = errors.New("there are as many opt-outs as max_opt_outs allows")

// inUse has the rules in use. While the keys are computed again, before are the rules
// that some opt-outs still have their keys from.
type inUse struct {
	Rules
	before *Rules
}

// plainRules are the rules until UseOptOutRules is called.
func plainRules() *inUse {
	return &inUse{Rules: Rules{Key: func(dst []byte, _ int64, _ string, contact []byte) []byte {
		return campaign.ContactKey(dst, contact)
	}}}
}

func (r *Rules) key(dst []byte, application int64, channelType string, contact []byte) []byte {
	start := len(dst)
	dst = r.Key(dst, application, channelType, contact)
	if len(dst)-start > maxContactKey {
		sum := sha256.Sum256(dst[start:])
		return append(append(dst[:start], 0), sum[:]...)
	}
	return dst
}

// all returns the rules by which an opt-out may have its key.
func (r *inUse) all() []*Rules {
	if r.before != nil {
		return []*Rules{&r.Rules, r.before}
	}
	return []*Rules{&r.Rules}
}

// UseOptOutRules sets the rules by which opt-outs are compared. If their Version isn't the one
// by which the stored opt-outs have their keys, it computes all keys again, some ten thousand a
// transaction; until it returns, OptedOut finds them by the former rules too. An interrupted
// run continues at the next call. Don't call it concurrently.
func (o *Table) UseOptOutRules(rules Rules) error {
	before := o.rules.Load()
	current := false
	if err := o.db.View(func(t *db.Tx) error {
		current = string(t.Bucket(db.Meta).Get(metaRules)) == rules.Version
		return nil
	}); err != nil {
		return err
	}
	if current {
		o.rules.Store(&inUse{Rules: rules})
		return nil
	}
	o.rules.Store(&inUse{Rules: rules, before: &before.Rules})
	if err := o.rekey(&rules); err != nil {
		return fmt.Errorf("compute the keys of opt-outs again: %w", err)
	}
	o.rules.Store(&inUse{Rules: rules})
	o.version.Add(1)
	return nil
}

// rekey gives every opt-out its key by new rules.
func (o *Table) rekey(rules *Rules) error {
	from := []byte{}
	for from != nil {
		var moved []displaced
		err := o.db.View(func(t *db.Tx) (err error) {
			moved, from, err = misplaced(t, rules, from)
			return err
		})
		if err != nil {
			return err
		}
		if len(moved) == 0 {
			continue
		}
		if err := o.db.Update(func(t *db.Tx) error { return o.move(t, moved) }); err != nil {
			return err
		}
	}
	return o.db.Update(func(t *db.Tx) error { return t.Bucket(db.Meta).Put(metaRules, []byte(rules.Version)) })
}

// displaced is an opt-out whose key has changed.
type displaced struct {
	change
	old []byte
}

// misplaced looks from a block on for opt-outs with another key than the rules give,
// and returns the block to continue from, nil at the end.
func misplaced(t *db.Tx, rules *Rules, from []byte) (moved []displaced, next []byte, err error) {
	c := t.Bucket(bucketOptOuts).Cursor()
	seen := 0
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if seen >= rekeyEntries {
			return moved, bytes.Clone(k), nil
		}
		application, channel, prefix, ok := splitKey(k)
		if !ok {
			return nil, nil, fmt.Errorf("%w: %w", db.ErrDamaged, codec.ErrMalformed)
		}
		entries, err := decodeBlock(v)
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
				moved = append(moved, displaced{change{prefix: bytes.Clone(prefix), key: key, spelling: spell(key, given), number: e.origin}, e.key})
			}
		}
	}
	return moved, nil, nil
}

// move removes opt-outs under their old keys and adds them under the new ones. Of two
// that become one the one that is there already stays.
func (o *Table) move(t *db.Tx, moved []displaced) error {
	changes := make([]change, 0, len(moved))
	for _, m := range moved {
		there, err := remove(t, m.prefix, m.old)
		if err != nil {
			return err
		}
		if there { // it may have been removed meanwhile
			changes = append(changes, m.change)
		}
	}
	sortChanges(changes)
	merger := merger{t: t, filter: o.filter.Load()}
	for len(changes) > 0 {
		var err error
		if changes, err = merger.add(changes); err != nil {
			return err
		}
		merger.added = 0
	}
	return nil
}
