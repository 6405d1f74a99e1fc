package optout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"campaignd/internal/store/db"
)

// userIDRefresh is the age at which a learned user id is written again, so that it isn't forgotten.
const userIDRefresh = 24 * time.Hour

// LearnUserID records durably that a receiver's user id belongs to a contact, in a form that every
// application reads the same (+ and digits). A receipt tells it. What one of the two has opted out of,
// the other has too from then on. Learning the same again within a day writes nothing.
func (o *Table) LearnUserID(userID, contact string, at time.Time) error {
	known, learned, err := o.userID(userID)
	if err != nil || known == contact && at.Sub(learned) < userIDRefresh {
		return err
	}
	err = o.db.Update(func(t *db.Tx) error {
		forgotten, err := o.pair(t, userID, contact)
		if err != nil || forgotten {
			return err // who was forgotten isn't stored again
		}
		if _, err := t.Made(bucketUserIDs); err != nil {
			return err
		}
		if _, err := t.Made(bucketUserIDsOf); err != nil {
			return err
		}
		if known != "" {
			if err := t.Bucket(bucketUserIDsOf).Delete(o.userIDKey(known, userID)); err != nil {
				return err
			}
		}
		if err := t.Bucket(bucketUserIDsOf).Put(o.userIDKey(contact, userID), nil); err != nil {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(max(at.Unix(), 0)))
		return t.Bucket(bucketUserIDs).Put([]byte(userID), append(value, contact...))
	})
	if err != nil {
		return fmt.Errorf("learn user id: %w", err)
	}
	return nil
}

// SamePerson makes the opt-outs of each of two contacts, numbers or user ids, those of the other too:
// somebody has another number or user id now.
func (o *Table) SamePerson(one, other string) error {
	if one == other || one == "" || other == "" {
		return nil
	}
	err := o.db.Update(func(t *db.Tx) error { _, err := o.pair(t, one, other); return err })
	if err != nil {
		return fmt.Errorf("join the opt-outs of a person: %w", err)
	}
	return nil
}

// NamesOf returns a contact followed by its user ids, or a user id followed by its contact.
func (o *Table) NamesOf(contact string) (names []string, err error) {
	err = o.db.View(func(t *db.Tx) error { names = append([]string{contact}, o.OtherNames(t, contact)...); return nil })
	return names, err
}

// userIDKey returns the key of bucketUserIDsOf for a contact's user id.
func (o *Table) userIDKey(contact, userID string) []byte {
	return append(append(o.rules.Load().key(nil, 0, "", []byte(contact)), 0), userID...)
}

// OtherNames returns the user ids of a contact, or the contact of a user id.
func (o *Table) OtherNames(t *db.Tx, contact string) (names []string) {
	if known, _ := contactOfUserID(t, contact); known != "" {
		return []string{known}
	}
	if contact == "" {
		return nil
	}
	prefix := o.userIDKey(contact, "")
	for k := range t.Prefixed(bucketUserIDsOf, prefix) {
		names = append(names, string(k[len(prefix):]))
	}
	return names
}

// pair adds to each of two names of a person the opt-outs of the other, and reports whether
// the person was forgotten: then both are.
func (o *Table) pair(t *db.Tx, one, other string) (forgotten bool, err error) {
	rules := o.rules.Load()
	names := [2]string{one, other}
	var changes []change
	for group := range *o.groups.Load() {
		prefix := groupPrefix(nil, group.application, group.channel)
		var keys [2][]byte
		var out [2]bool
		for i, name := range names {
			keys[i] = rules.key(nil, group.application, group.channel, []byte(name))
			if out[i], err = optedOut(t.Existing(bucketOptOuts), group.application, group.channel, keys[i]); err != nil {
				return false, err
			}
		}
		for i := range names {
			if out[1-i] && !out[i] {
				changes = append(changes, change{prefix: prefix, key: keys[i], spelling: spell(keys[i], []byte(names[i])),
					origin: origin{"user id", time.Now().UTC().Truncate(time.Second)}, group: group})
			}
		}
	}
	if len(changes) > 0 {
		sortChanges(changes)
		m := merger{t: t, filter: o.filter.Load(), origins: map[origin]uint32{}} // no limit: the person has opted out
		if _, err := m.add(changes); err != nil {
			return false, err
		}
		t.After(func() { o.version.Add(1) })
	}
	return o.pairForgotten(t, names)
}

// pairForgotten forgets both names of a person if one of them is forgotten.
func (o *Table) pairForgotten(t *db.Tx, names [2]string) (bool, error) {
	if o.secret.Load() == nil {
		return false, nil
	}
	rules := o.rules.Load()
	var keys [2][]byte
	var gone [2]bool
	for i, name := range names {
		keys[i] = rules.key(nil, 0, "", []byte(name))
		var err error
		if gone[i], err = forgotten(t, keys[i]); err != nil {
			return false, err
		}
	}
	if !gone[0] && !gone[1] {
		return false, nil
	}
	secret := bytes.Clone(t.Bucket(db.Meta).Get(metaForgetKey))
	for i := range names {
		if !gone[i] {
			if err := o.putForgotten(t, forgottenHash(secret, keys[i])); err != nil {
				return false, err
			}
		}
	}
	t.After(func() { o.version.Add(1) })
	return true, nil
}

// dropUserIDs removes the pairs of a contact or user id.
func (o *Table) dropUserIDs(t *db.Tx, contact string) error {
	for _, other := range o.OtherNames(t, contact) {
		userID, number := contact, other
		if known, _ := contactOfUserID(t, contact); known == "" {
			userID, number = other, contact
		}
		if err := t.Bucket(bucketUserIDs).Delete([]byte(userID)); err != nil {
			return err
		}
		if err := t.Bucket(bucketUserIDsOf).Delete(o.userIDKey(number, userID)); err != nil {
			return err
		}
	}
	return nil
}

// ContactOfUserID returns the contact that a user id belongs to, "" if it isn't known.
func (o *Table) ContactOfUserID(userID string) (string, error) {
	contact, _, err := o.userID(userID)
	return contact, err
}

func (o *Table) userID(userID string) (contact string, learned time.Time, err error) {
	err = o.db.View(func(t *db.Tx) error {
		contact, learned = contactOfUserID(t, userID)
		return nil
	})
	return contact, learned, err
}

// KnownContact returns the contact that a user id belongs to, "" if it isn't known.
func (o *Table) KnownContact(t *db.Tx, userID string) string {
	contact, _ := contactOfUserID(t, userID)
	return contact
}

// contactOfUserID returns the contact of a user id and when it was last learned; "" if it isn't known.
func contactOfUserID(t *db.Tx, userID string) (contact string, learned time.Time) {
	if value := t.Value(bucketUserIDs, []byte(userID)); len(value) > 8 {
		contact, learned = string(value[8:]), time.Unix(int64(binary.BigEndian.Uint64(value)), 0)
	}
	return contact, learned
}

// ForgetUserIDs removes the user ids that were last learned before an instant, and returns how many.
func (o *Table) ForgetUserIDs(before time.Time) (int, error) {
	n, err := o.db.RemoveExpired(bucketUserIDs, func(value []byte) bool {
		return len(value) < 8 || int64(binary.BigEndian.Uint64(value)) < before.Unix()
	}, func(t *db.Tx, k []byte) error {
		if err := o.dropUserIDs(t, string(k)); err != nil {
			return err
		}
		return t.Bucket(bucketUserIDs).Delete(k)
	})
	if err != nil {
		return 0, fmt.Errorf("forget user ids: %w", err)
	}
	return n, nil
}
