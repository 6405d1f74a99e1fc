package optout

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"campaignd/internal/store/db"
)

// Place is an application's channel, "" for any.
type Place struct {
	Application int64  `json:"application"`
	ChannelType string `json:"channelType"`
}

// Contact is a contact that is to be forgotten, by the rules of every place. It isn't safe for concurrent use.
type Contact struct {
	table   *Table
	contact []byte
	rules   *inUse
	keys    map[Place][]byte // the contact's normal form by place
}

// Contact returns a contact as it is in places, the channels that there are.
func (o *Table) Contact(contact string, places []Place) *Contact {
	c := &Contact{table: o, contact: []byte(contact), rules: o.rules.Load(), keys: map[Place][]byte{}}
	for _, place := range append(slices.Clone(places), Place{}) {
		c.key(place)
	}
	return c
}

// key returns the contact's normal form in a place.
func (c *Contact) key(place Place) []byte {
	key, known := c.keys[place]
	if !known {
		key = c.rules.key(nil, place.Application, place.ChannelType, c.contact)
		c.keys[place] = key
	}
	return key
}

// Is reports whether a contact written in a place is this one.
func (c *Contact) Is(place Place, contact []byte) bool {
	return len(contact) > 0 && bytes.Equal(c.rules.key(nil, place.Application, place.ChannelType, contact), c.key(place))
}

// IsAnywhere reports whether a contact is this one in any place.
func (c *Contact) IsAnywhere(contact []byte) bool {
	for place := range c.keys {
		if c.Is(place, contact) {
			return true
		}
	}
	return false
}

// Keys returns the contact's normal forms.
func (c *Contact) Keys() iter.Seq[[]byte] { return maps.Values(c.keys) }

// Forget keeps the hashes of the contact and removes its opt-outs and other names. Once t is
// committed it counts as opted out everywhere.
func (c *Contact) Forget(t *db.Tx) error {
	secret, err := forgetKey(t)
	if err != nil {
		return err
	}
	groups := *c.table.groups.Load()
	for group := range groups {
		c.key(Place{group.application, group.channel})
	}
	for _, key := range c.keys {
		if err := c.table.putForgotten(t, forgottenHash(secret, key)); err != nil {
			return err
		}
		for group := range groups {
			if _, err := remove(t, groupPrefix(nil, group.application, group.channel), key); err != nil {
				return err
			}
		}
	}
	secret = bytes.Clone(secret)
	t.After(func() {
		c.table.secret.Store(&secret)
		c.table.version.Add(1)
	})
	return c.table.dropUserIDs(t, string(c.contact))
}

// forgetKey returns the key of the hashes, and makes it when the first contact is forgotten.
func forgetKey(t *db.Tx) ([]byte, error) {
	meta := t.Bucket(db.Meta)
	if secret := meta.Get(metaForgetKey); secret != nil {
		return secret, nil
	}
	secret := make([]byte, sha256.Size)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make the key of hashes: %w", err)
	}
	return secret, meta.Put(metaForgetKey, secret)
}

// forgottenHash returns the keyed hash under which a forgotten contact stays suppressed.
func forgottenHash(key, contact []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(contact) // a hash never fails
	return h.Sum(nil)[:16]
}

// putForgotten stores the hash of a forgotten contact.
func (o *Table) putForgotten(t *db.Tx, hash []byte) error {
	o.filter.Load().add(hash)
	return t.Bucket(bucketForgotten).Put(hash, db.Key8(uint64(time.Now().Unix())))
}

// forgotten reports whether the contact with that normal form was forgotten.
func forgotten(t *db.Tx, contact []byte) (bool, error) {
	key := t.Bucket(db.Meta).Get(metaForgetKey)
	if len(key) != sha256.Size {
		return false, fmt.Errorf("look for a forgotten contact: %w: the key of its hash is missing", db.ErrDamaged)
	}
	return t.Bucket(bucketForgotten).Get(forgottenHash(key, contact)) != nil, nil
}
