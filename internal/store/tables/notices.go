package tables

import (
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
func (s Tables) Notices() (list []Notice, err error) {
	err = s.db.View(func(t *db.Tx) error {
		for _, value := range t.Prefixed(bucketNotices, nil) {
			var n Notice
			if err := db.DecodeJSON("notice", value, &n); err != nil {
				return err
			}
			list = append(list, n)
		}
		return nil
	})
	return list, err
}

// PutNotice records a notice in a transaction, or replaces the one of its sending.
func PutNotice(t *db.Tx, n *Notice) error {
	return t.PutJSON(bucketNotices, db.Key8(n.Sending.Number()), n)
}

// PutNotice records a notice, or replaces the one of its sending.
func (s Tables) PutNotice(n Notice) error {
	return s.db.Update(func(t *db.Tx) error { return PutNotice(t, &n) })
}

// RemoveNotice removes the notice of a sending, if there is one.
func (s Tables) RemoveNotice(id campaign.ID) error {
	return s.db.Update(func(t *db.Tx) error {
		if t.Existing(bucketNotices) == nil {
			return nil
		}
		return t.Bucket(bucketNotices).Delete(db.Key8(id.Number()))
	})
}
