package tables

import (
	"campaignd/internal/store/db"
)

// InboxID returns the random id of the inbox at a path, or "" if it has none yet.
func (s Tables) InboxID(path string) (id string, err error) {
	err = s.db.View(func(t *db.Tx) error {
		id = string(t.Bucket(db.Meta).Get(inboxKey(path)))
		return nil
	})
	return id, err
}

// SetInboxID records the id of the inbox at a path.
func (s Tables) SetInboxID(path, id string) error {
	return s.db.Update(func(t *db.Tx) error { return t.Bucket(db.Meta).Put(inboxKey(path), []byte(id)) })
}

func inboxKey(path string) []byte { return []byte("inbox/" + path) }
