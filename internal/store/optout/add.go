package optout

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"campaignd/internal/store/db"
)

// commitBlocks limits the blocks that one transaction writes, so that nobody waits long for it.
const commitBlocks = 2000

// errUnchanged rolls back a transaction that changed nothing, which saves a sync.
var errUnchanged = errors.New("nothing to change")

// change is an opt-out to be added, or one whose key is to be removed.
type change struct {
	prefix   []byte
	key      []byte
	spelling string
	origin   origin
	number   uint32 // of the origin, if it is stored already
	group    group
	index    int // in the list
}

// origin says where and when an opt-out came in.
type origin struct {
	Source string    `json:"source,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// sortChanges sorts changes by key; of equal keys the first of the list comes first.
func sortChanges(changes []change) {
	slices.SortFunc(changes, func(a, b change) int {
		return cmp.Or(bytes.Compare(a.prefix, b.prefix), bytes.Compare(a.key, b.key), a.index-b.index)
	})
}

// AddOptOuts adds opt-outs and returns how many were new; a known one stays unchanged. Up to
// some ten thousand are one transaction, more are several: an error may leave a part of them
// added. They apply to every message attempted after it returns. A group of hundreds of
// thousands costs least for each.
func (o *Table) AddOptOuts(list []OptOut) (int, error) {
	others, err := o.underOtherNames(list)
	if err != nil {
		return 0, err
	}
	if len(others) > 0 {
		if _, err := o.add(others); err != nil {
			return 0, err
		}
	}
	return o.add(list)
}

// underOtherNames returns the opt-outs of a list under the other names of their contacts.
func (o *Table) underOtherNames(list []OptOut) (others []OptOut, err error) {
	err = o.db.View(func(t *db.Tx) error {
		if t.Existing(bucketUserIDs) == nil {
			return nil
		}
		for _, one := range list {
			for _, name := range o.OtherNames(t, one.ContactCode) {
				other := one
				other.ContactCode = name
				others = append(others, other)
			}
		}
		return nil
	})
	return others, err
}

func (o *Table) add(list []OptOut) (int, error) {
	rules := o.rules.Load()
	at := time.Now().UTC()
	changes := make([]change, len(list))
	for i, one := range list {
		if one.At.IsZero() {
			one.At = at
		}
		given := []byte(one.ContactCode)
		key := rules.key(nil, one.ApplicationID, one.ChannelType, given)
		changes[i] = change{prefix: groupPrefix(nil, one.ApplicationID, one.ChannelType), key: key, spelling: spell(key, given),
			origin: origin{one.Source, one.At.UTC().Truncate(time.Second)}, group: group{one.ApplicationID, one.ChannelType}, index: i}
	}
	sortChanges(changes)
	added := 0
	for len(changes) > 0 {
		n, left := 0, changes
		err := o.db.Update(func(t *db.Tx) (err error) {
			m := merger{t: t, filter: o.filter.Load(), max: rules.Max, origins: map[origin]uint32{}}
			left, err = m.add(changes)
			if n = m.added; err == nil && n == 0 {
				return errUnchanged
			}
			t.After(func() {
				o.noteGroups(changes)
				o.version.Add(1)
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

// noteGroups notes the groups of opt-outs that were added. The writer lock is held.
func (o *Table) noteGroups(changes []change) {
	groups := *o.groups.Load()
	for i := range changes {
		if group := changes[i].group; !groups[group] {
			groups = maps.Clone(groups)
			groups[group] = true
			o.groups.Store(&groups)
		}
	}
}

// RemoveOptOut removes an opt-out, under every name of its contact that is known, and reports whether it existed.
func (o *Table) RemoveOptOut(application int64, channelType, contactCode string) (bool, error) {
	rules := o.rules.Load()
	found := false
	err := o.db.Update(func(t *db.Tx) error {
		found = false
		for _, name := range append(o.OtherNames(t, contactCode), contactCode) {
			for _, r := range rules.all() {
				key := r.key(nil, application, channelType, []byte(name))
				removed, err := remove(t, groupPrefix(nil, application, channelType), key)
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
