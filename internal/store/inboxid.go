package store

// InboxID returns the random id of the inbox at a path, or "" if it has none yet.
func (s *Store) InboxID(path string) (id string, err error) {
	err = s.view(func(t *tx) error {
		id = string(t.bucket(bucketMeta).Get(inboxKey(path)))
		return nil
	})
	return id, err
}

// SetInboxID records the id of the inbox at a path.
func (s *Store) SetInboxID(path, id string) error {
	return s.update(func(t *tx) error { return t.bucket(bucketMeta).Put(inboxKey(path), []byte(id)) })
}

func inboxKey(path string) []byte { return []byte("inbox/" + path) }
