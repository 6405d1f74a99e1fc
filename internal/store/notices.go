package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// Notice is the end of a sending that its inbox's notify_url hasn't acknowledged yet.
type Notice struct {
	Sending  campaign.ID `json:"sending"`
	Attempts int         `json:"attempts,omitempty"`
	Due      time.Time   `json:"due"` // of the next attempt
}

// Notices returns all notices, those of older sendings first.
func (s *Store) Notices() ([]Notice, error) {
	var list []Notice
	err := s.view(func(t *tx) error {
		b := t.Existing(bucketNotices)
		if b == nil {
			return nil
		}
		return b.ForEach(func(_, value []byte) error {
			var n Notice
			if err := json.Unmarshal(value, &n); err != nil {
				return fmt.Errorf("read notice: %w: %w", ErrDamaged, err)
			}
			list = append(list, n)
			return nil
		})
	})
	return list, err
}

// PutNotice records a notice, or replaces the one of its sending. The notice of a sending that was
// removed meanwhile is dropped.
func (s *Store) PutNotice(n Notice) error {
	return s.update(func(t *tx) error {
		if _, _, err := t.byID(n.Sending); errors.Is(err, ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		return t.putNotice(&n)
	})
}

func (t *tx) putNotice(n *Notice) error {
	key, err := number(n.Sending)
	if err != nil {
		return err
	}
	return t.PutJSON(bucketNotices, db.Key8(key), n)
}

// RemoveNotice removes the notice of a sending, if there is one.
func (s *Store) RemoveNotice(id campaign.ID) error {
	key, err := number(id)
	if err != nil {
		return err
	}
	return s.update(func(t *tx) error {
		if t.Existing(bucketNotices) == nil {
			return nil
		}
		return t.Bucket(bucketNotices).Delete(db.Key8(key))
	})
}
