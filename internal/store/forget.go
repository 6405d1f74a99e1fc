package store

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// forgottenHash returns the keyed hash under which a forgotten contact stays suppressed.
func forgottenHash(key, contact []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(contact) // a hash never fails
	return h.Sum(nil)[:16]
}

// forgotten reports whether the contact with that normal form was forgotten.
func (t *tx) forgotten(contact []byte) (bool, error) {
	b := t.bucket(bucketForgotten)
	key := t.bucket(bucketMeta).Get(metaForgetKey)
	if len(key) != sha256.Size {
		return false, fmt.Errorf("look for a forgotten contact: %w: the key of its hash is missing", ErrDamaged)
	}
	return b.Get(forgottenHash(key, contact)) != nil, nil
}

// suppressForgotten keeps the hashes of a contact's normal forms, and removes its opt-outs.
func (t *tx) suppressForgotten(keys [][]byte, at time.Time) error {
	meta := t.bucket(bucketMeta)
	secret := meta.Get(metaForgetKey)
	if secret == nil {
		secret = make([]byte, sha256.Size)
		if _, err := rand.Read(secret); err != nil {
			return fmt.Errorf("make the key of hashes: %w", err)
		}
		if err := meta.Put(metaForgetKey, secret); err != nil {
			return err
		}
	}
	b := t.bucket(bucketForgotten)
	for _, key := range keys {
		if err := b.Put(forgottenHash(secret, key), binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))); err != nil {
			return err
		}
	}
	return nil
}
