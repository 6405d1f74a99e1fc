package store

import (
	"encoding/binary"
	"fmt"
	"time"
)

// userIDRefresh is the age at which a learned user id is written again, so that it isn't forgotten.
const userIDRefresh = 24 * time.Hour

// LearnUserID records durably that a receiver's user id belongs to a contact, in a form that every
// application reads the same (+ and digits). A receipt tells it. Learning the same again within a day writes nothing.
func (s *Store) LearnUserID(userID, contact string, at time.Time) error {
	known, learned, err := s.userID(userID)
	if err != nil || known == contact && at.Sub(learned) < userIDRefresh {
		return err
	}
	err = s.update(func(t *tx) error {
		if _, err := t.CreateBucketIfNotExists(bucketUserIDs); err != nil {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(max(at.Unix(), 0)))
		return t.bucket(bucketUserIDs).Put([]byte(userID), append(value, contact...))
	})
	if err != nil {
		return fmt.Errorf("learn user id: %w", err)
	}
	return nil
}

// ContactOfUserID returns the contact that a user id belongs to, "" if it isn't known.
func (s *Store) ContactOfUserID(userID string) (string, error) {
	contact, _, err := s.userID(userID)
	return contact, err
}

func (s *Store) userID(userID string) (contact string, learned time.Time, err error) {
	err = s.view(func(t *tx) error {
		contact, learned = t.contactOfUserID(userID)
		return nil
	})
	return contact, learned, err
}

// contactOfUserID returns the contact of a user id and when it was last learned; "" if it isn't known.
func (t *tx) contactOfUserID(userID string) (contact string, learned time.Time) {
	b := t.Bucket(bucketUserIDs)
	if b == nil || userID == "" {
		return "", time.Time{}
	}
	if value := b.Get([]byte(userID)); len(value) > 8 {
		contact, learned = string(value[8:]), time.Unix(int64(binary.BigEndian.Uint64(value)), 0)
	}
	return contact, learned
}

// ForgetUserIDs removes the user ids that were last learned before an instant, and returns how many.
func (s *Store) ForgetUserIDs(before time.Time) (int, error) {
	var old [][]byte
	err := s.view(func(t *tx) error {
		b := t.Bucket(bucketUserIDs)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, value []byte) error {
			if len(value) < 8 || int64(binary.BigEndian.Uint64(value)) < before.Unix() {
				old = append(old, append([]byte(nil), k...))
			}
			return nil
		})
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	err = s.update(func(t *tx) error {
		for _, k := range old {
			if err := t.bucket(bucketUserIDs).Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget user ids: %w", err)
	}
	return len(old), nil
}
