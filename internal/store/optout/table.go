package optout

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"campaignd/internal/codec"
	"campaignd/internal/store/db"
)

// OptOut is an opt-out (docs/contract.md 10).
type OptOut struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType,omitempty"` // "": all channels
	ContactCode   string    `json:"contactCode"`           // as it was given
	At            time.Time `json:"at,omitzero"`           // in whole seconds
	Source        string    `json:"source,omitempty"`      // a file's name, "command", a channel
}

// Table has the opt-outs of a store's file. Its methods are safe for concurrent use.
type Table struct {
	db      *db.DB
	rules   atomic.Pointer[inUse]
	groups  atomic.Pointer[map[group]bool] // that may have opt-outs; replaced while nobody writes, never changed
	filter  atomic.Pointer[filter]         // replaced while nobody writes
	secret  atomic.Pointer[[]byte]         // the key of forgotten contacts' hashes; nil: nobody was forgotten
	version atomic.Uint64                  // grows with every opt-out added
}

// Open returns the opt-outs in a file.
func Open(file *db.DB) (*Table, error) {
	o := &Table{db: file}
	o.rules.Store(plainRules())
	f := newFilter(0)
	o.filter.Store(f)
	return o, file.View(func(t *db.Tx) error {
		someone, _ := t.Bucket(bucketForgotten).Cursor().First()
		if someone != nil {
			secret := bytes.Clone(t.Bucket(db.Meta).Get(metaForgetKey))
			o.secret.Store(&secret)
		}
		groups := groupsOf(t)
		o.groups.Store(&groups)
		f.filled.Store(len(groups) == 0 && someone == nil)
		return nil
	})
}

// OptedOut implements send.Store: it reports whether the contact has opted out of the
// application's channel, or of all its channels, or was forgotten.
func (o *Table) OptedOut(application int64, channelType string, contactCode []byte) (bool, error) {
	return o.optedOut(application, channelType, contactCode, o.db.Lookup)
}

// OptedOutIn is OptedOut within a transaction.
func (o *Table) OptedOutIn(t *db.Tx, application int64, channelType string, contactCode []byte) (bool, error) {
	return o.optedOut(application, channelType, contactCode, func(fn func(*db.Tx) error) error { return fn(t) })
}

func (o *Table) optedOut(application int64, channelType string, contactCode []byte, in func(func(*db.Tx) error) error) (bool, error) {
	if len(contactCode) == 0 {
		return true, nil // of a row whose contact was forgotten
	}
	groups := *o.groups.Load()
	own, all := groups[group{application, channelType}], channelType != "" && groups[group{application, ""}]
	secret := o.secret.Load()
	if !own && !all && secret == nil {
		return false, nil
	}
	filter := o.filter.Load()
	perhaps := !filter.filled.Load()
	var contacts [2][]byte // by the rules, and by those before
	rules := o.rules.Load().all()
	for i, r := range rules {
		contact := r.key(make([]byte, 0, 64), application, channelType, contactCode)
		contacts[i] = contact
		var buf [64]byte
		perhaps = perhaps || own && filter.mayHave(groupPrefix(buf[:0], application, channelType), contact) ||
			all && filter.mayHave(groupPrefix(buf[:0], application, ""), contact) ||
			secret != nil && filter.mayHave(forgottenHash(*secret, contact))
	}
	if !perhaps {
		return false, nil
	}
	found := false
	err := in(func(t *db.Tx) (err error) {
		b := t.Existing(bucketOptOuts)
		for _, contact := range contacts[:len(rules)] {
			if own && !found {
				found, err = optedOut(b, application, channelType, contact)
			}
			if all && !found && err == nil {
				found, err = optedOut(b, application, "", contact)
			}
			if secret != nil && !found && err == nil {
				found, err = forgotten(t, contact)
			}
			if found || err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// OptOutVersion implements send.Store: the number changes with every opt-out added, and with the rules.
func (o *Table) OptOutVersion() uint64 { return o.version.Load() }

// OptOuts returns the number of opt-outs.
func (o *Table) OptOuts() (n uint64, err error) {
	err = o.db.View(func(t *db.Tx) error { n = t.Bucket(bucketOptOuts).Sequence(); return nil })
	return n, err
}

// EachOptOut calls fn with the opt-outs of an application (0: of all) in order of channel and
// normal form. No transaction is open while fn runs.
func (o *Table) EachOptOut(application int64, fn func(OptOut) error) error {
	prefix := []byte{}
	if application != 0 {
		prefix = db.Key8(db.Signed(application))
	}
	origins := map[uint32]origin{}
	return o.db.EachPage(bucketOptOuts, prefix, prefix, func(key, value []byte) error {
		id, channel, _, ok := splitKey(key)
		if !ok {
			return fmt.Errorf("read opt-outs: %w: %w", db.ErrDamaged, codec.ErrMalformed)
		}
		entries, err := decodeBlock(value)
		if err != nil {
			return err
		}
		for _, e := range entries {
			given, err := unspell(e.key, e.spelling)
			if err != nil {
				return err
			}
			from, known := origins[e.origin]
			if !known {
				if from, err = o.origin(e.origin); err != nil {
					return err
				}
				origins[e.origin] = from
			}
			if err := fn(OptOut{ApplicationID: id, ChannelType: channel, ContactCode: string(given), At: from.At, Source: from.Source}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *Table) origin(n uint32) (from origin, err error) {
	err = o.db.View(func(t *db.Tx) error {
		return db.DecodeJSON("origin of opt-outs", t.Bucket(bucketOrigins).Get(db.Key8(uint64(n))), &from)
	})
	return from, err
}
