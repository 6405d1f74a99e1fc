package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/codec"
)

// OptOut is an opt-out (docs/contract.md 10).
type OptOut struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType,omitempty"` // "": all channels
	ContactCode   string    `json:"contactCode"`           // as it was given
	At            time.Time `json:"at,omitzero"`           // in whole seconds
	Source        string    `json:"source,omitempty"`      // a file's name, "command", a channel
}

// OptOutRules decide how opt-outs are compared and how many there may be.
type OptOutRules struct {
	// Version identifies the rules: when it changes, every opt-out gets its key again.
	Version string
	// Key appends the normal form of a contact of an application's channel ("": any channel) to
	// dst. A text that is no contact is appended as it is, so that nothing is lost. Key must be
	// safe for concurrent use, and is given the text as it was written, never a key.
	Key func(dst []byte, application int64, channelType string, contact []byte) []byte
	// Max is the most opt-outs that may be stored; 0: any number.
	Max uint64
}

// ErrTooManyOptOuts is returned when an opt-out would exceed OptOutRules.Max.
var ErrTooManyOptOuts = errors.New("there are as many opt-outs as max_opt_outs allows")

// optOutRules are the rules in use. While the keys are computed again, before are the rules
// that some opt-outs still have their keys from.
type optOutRules struct {
	OptOutRules
	before *OptOutRules
}

// plainOptOuts are the rules until UseOptOutRules is called.
func plainOptOuts() *optOutRules {
	return &optOutRules{OptOutRules: OptOutRules{Key: func(dst []byte, _ int64, _ string, contact []byte) []byte {
		return campaign.ContactKey(dst, contact)
	}}}
}

const (
	// maxContactKey is the longest contact used as a key; a longer one is replaced by its digest.
	maxContactKey = 512
	// optOutCommit limits the blocks that one transaction writes, so that nobody waits long for it.
	optOutCommit = 2000
	// optOutGroup limits the opt-outs whose keys one transaction computes again.
	optOutRekey = 50_000
)

func (r *OptOutRules) key(dst []byte, application int64, channelType string, contact []byte) []byte {
	start := len(dst)
	dst = r.Key(dst, application, channelType, contact)
	if len(dst)-start > maxContactKey {
		sum := sha256.Sum256(dst[start:])
		return append(append(dst[:start], 0), sum[:]...)
	}
	return dst
}

// optOutGroup are the opt-outs of an application's channel ("": of all its channels).
type optOutGroup struct {
	application int64
	channel     string
}

// optOutPrefix begins the keys of an application's opt-outs of a channel. A channel's name has no zero byte.
func optOutPrefix(dst []byte, application int64, channelType string) []byte {
	return append(append(binary.BigEndian.AppendUint64(dst, signed(application)), channelType...), 0)
}

// splitOptOutKey takes a block's key apart.
func splitOptOutKey(key []byte) (application int64, channelType string, prefix []byte, ok bool) {
	if len(key) < 9 {
		return 0, "", nil, false
	}
	end := bytes.IndexByte(key[8:], 0)
	if end < 0 {
		return 0, "", nil, false
	}
	return unsigned(binary.BigEndian.Uint64(key)), string(key[8 : 8+end]), key[:8+end+1], true
}

// optOutChange is an opt-out to be added, or one whose key is to be removed.
type optOutChange struct {
	prefix   []byte
	key      []byte
	spelling string
	origin   origin
	number   uint32 // of the origin, if it is stored already
	group    optOutGroup
	index    int // in the list
}

// origin says where and when an opt-out came in.
type origin struct {
	Source string    `json:"source,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// AddOptOuts adds opt-outs and returns how many were new; a known one stays unchanged. Up to
// some ten thousand are one transaction, more are several: an error may leave a part of them
// added. They apply to every message attempted after it returns. A group of hundreds of
// thousands costs least for each.
func (s *Store) AddOptOuts(list []OptOut) (int, error) {
	others, err := s.otherOptOuts(list)
	if err != nil {
		return 0, err
	}
	if len(others) > 0 {
		if _, err := s.addOptOuts(others); err != nil {
			return 0, err
		}
	}
	return s.addOptOuts(list)
}

// otherOptOuts returns the opt-outs of a list under the other names of their contacts.
func (s *Store) otherOptOuts(list []OptOut) (others []OptOut, err error) {
	err = s.view(func(t *tx) error {
		if t.Existing(bucketUserIDs) == nil {
			return nil
		}
		for _, one := range list {
			for _, name := range t.otherNames(one.ContactCode) {
				other := one
				other.ContactCode = name
				others = append(others, other)
			}
		}
		return nil
	})
	return others, err
}

func (s *Store) addOptOuts(list []OptOut) (int, error) {
	rules := s.optOuts.Load()
	at := now()
	changes := make([]optOutChange, len(list))
	for i, one := range list {
		if one.At.IsZero() {
			one.At = at
		}
		given := []byte(one.ContactCode)
		key := rules.key(nil, one.ApplicationID, one.ChannelType, given)
		changes[i] = optOutChange{prefix: optOutPrefix(nil, one.ApplicationID, one.ChannelType), key: key, spelling: spell(key, given),
			origin: origin{one.Source, one.At.UTC().Truncate(time.Second)}, group: optOutGroup{one.ApplicationID, one.ChannelType}, index: i}
	}
	sortOptOuts(changes)
	added := 0
	for len(changes) > 0 {
		n, left := 0, changes
		err := s.update(func(t *tx) (err error) {
			m := optOutMerger{t: t, max: rules.Max, origins: map[origin]uint32{}}
			left, err = m.add(changes)
			if n = m.added; err == nil && n == 0 {
				return errUnchanged
			}
			t.After(func() {
				s.addOptOutGroups(changes)
				s.optOutVersion.Add(1)
			})
			return err
		})
		if err != nil && !errors.Is(err, errUnchanged) {
			return added, fmt.Errorf("add opt-outs: %w", err)
		}
		added += n
		changes = left
	}
	return added, nil
}

// addOptOutGroups notes the groups of opt-outs that were added. The writer lock is held.
func (s *Store) addOptOutGroups(changes []optOutChange) {
	groups := *s.optOutGroups.Load()
	for i := range changes {
		if group := changes[i].group; !groups[group] {
			groups = maps.Clone(groups)
			groups[group] = true
			s.optOutGroups.Store(&groups)
		}
	}
}

// optOutGroups returns the groups that have blocks.
func (t *tx) optOutGroups() map[optOutGroup]bool {
	groups := map[optOutGroup]bool{}
	c := t.Bucket(bucketOptOuts).Cursor()
	for k, _ := c.First(); k != nil; {
		application, channel, prefix, ok := splitOptOutKey(k)
		if !ok {
			break // Verify reports it
		}
		groups[optOutGroup{application, channel}] = true
		after := bytes.Clone(prefix)
		after[len(after)-1] = 1
		k, _ = c.Seek(after)
	}
	return groups
}

// sortOptOuts sorts changes by key; of equal keys the first of the list comes first.
func sortOptOuts(changes []optOutChange) {
	slices.SortFunc(changes, func(a, b optOutChange) int {
		return cmp.Or(bytes.Compare(a.prefix, b.prefix), bytes.Compare(a.key, b.key), a.index-b.index)
	})
}

// RemoveOptOut removes an opt-out, under every name of its contact that is known, and reports whether it existed.
func (s *Store) RemoveOptOut(application int64, channelType, contactCode string) (bool, error) {
	rules := s.optOuts.Load()
	found := false
	err := s.update(func(t *tx) error {
		found = false
		for _, name := range append(t.otherNames(contactCode), contactCode) {
			for _, r := range rules.all() {
				key := r.key(nil, application, channelType, []byte(name))
				removed, err := t.removeOptOut(optOutPrefix(nil, application, channelType), key)
				if err != nil {
					return err
				}
				found = found || removed
			}
		}
		return nil
	})
	return found && err == nil, err
}

// all returns the rules by which an opt-out may have its key.
func (r *optOutRules) all() []*OptOutRules {
	if r.before != nil {
		return []*OptOutRules{&r.OptOutRules, r.before}
	}
	return []*OptOutRules{&r.OptOutRules}
}

// OptedOut implements send.Store: it reports whether the contact has opted out of the
// application's channel, or of all its channels, or was forgotten.
func (s *Store) OptedOut(application int64, channelType string, contactCode []byte) (bool, error) {
	if len(contactCode) == 0 {
		return true, nil // of a row whose contact was forgotten
	}
	groups := *s.optOutGroups.Load()
	own, all := groups[optOutGroup{application, channelType}], channelType != "" && groups[optOutGroup{application, ""}]
	secret := s.forgetSecret.Load()
	if !own && !all && secret == nil {
		return false, nil
	}
	filter := s.optOutFilter.Load()
	perhaps := !filter.filled.Load()
	var contacts [2][]byte // by the rules, and by those before
	rules := s.optOuts.Load().all()
	for i, r := range rules {
		contact := r.key(make([]byte, 0, 64), application, channelType, contactCode)
		contacts[i] = contact
		var buf [64]byte
		perhaps = perhaps || own && filter.mayHave(optOutPrefix(buf[:0], application, channelType), contact) ||
			all && filter.mayHave(optOutPrefix(buf[:0], application, ""), contact) ||
			secret != nil && filter.mayHave(forgottenHash(*secret, contact))
	}
	if !perhaps {
		return false, nil
	}
	found := false
	err := s.lookup(func(t *tx) (err error) {
		b := t.Existing(bucketOptOuts)
		for _, contact := range contacts[:len(rules)] {
			if own && !found {
				found, err = optedOut(b, application, channelType, contact)
			}
			if all && !found && err == nil {
				found, err = optedOut(b, application, "", contact)
			}
			if secret != nil && !found && err == nil {
				found, err = t.forgotten(contact)
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
func (s *Store) OptOutVersion() uint64 { return s.optOutVersion.Load() }

// OptOuts returns the number of opt-outs.
func (s *Store) OptOuts() (n uint64, err error) {
	err = s.view(func(t *tx) error { n = t.Bucket(bucketOptOuts).Sequence(); return nil })
	return n, err
}

// EachOptOut calls fn with the opt-outs of an application (0: of all) in order of channel and
// normal form. No transaction is open while fn runs.
func (s *Store) EachOptOut(application int64, fn func(OptOut) error) error {
	prefix := []byte{}
	if application != 0 {
		prefix = key8(signed(application))
	}
	origins := map[uint32]origin{}
	return s.eachPage(bucketOptOuts, prefix, prefix, func(key, value []byte) error {
		id, channel, _, ok := splitOptOutKey(key)
		if !ok {
			return fmt.Errorf("read opt-outs: %w: %w", ErrDamaged, codec.ErrMalformed)
		}
		entries, err := decodeOptOuts(value)
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
				if from, err = s.origin(e.origin); err != nil {
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

func (s *Store) origin(n uint32) (from origin, err error) {
	err = s.view(func(t *tx) error {
		if err := json.Unmarshal(t.Bucket(bucketOrigins).Get(key8(uint64(n))), &from); err != nil {
			return fmt.Errorf("read opt-outs: %w: origin %d: %w", ErrDamaged, n, err)
		}
		return nil
	})
	return from, err
}

// listPage limits the values that eachPage reads in one transaction.
const listPage = 1000

// eachPage calls fn with copies of the keys that have the prefix and are not before from, and
// of their values, one page a transaction; no transaction is open while fn runs.
func (s *Store) eachPage(bucket, prefix, from []byte, fn func(key, value []byte) error) error {
	for from != nil {
		var page []struct{ key, value []byte }
		err := s.view(func(t *tx) error {
			c := t.Bucket(bucket).Cursor()
			k, v := c.Seek(from)
			for ; bytes.HasPrefix(k, prefix) && k != nil && len(page) < listPage; k, v = c.Next() {
				page = append(page, struct{ key, value []byte }{bytes.Clone(k), bytes.Clone(v)})
			}
			from = nil
			if bytes.HasPrefix(k, prefix) && k != nil {
				from = bytes.Clone(k)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := fn(p.key, p.value); err != nil {
				return err
			}
		}
	}
	return nil
}
