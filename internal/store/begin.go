package store

import (
	"campaignd/internal/campaign"
	"campaignd/internal/store/tables"
)

// Begin records a claim durably. It sets head's ID, Tag, ReceivedAt (now, if zero) and
// state checking.
func (s *Store) Begin(head *campaign.Sending) error {
	return s.update(func(t *tx) error { return t.begin(head) })
}

// BeginUpload is Begin for an upload. If r isn't nil, it is remembered in the same transaction, so
// that a crash leaves both or neither. It sets r's Sending and replaces an older request of its key.
func (s *Store) BeginUpload(head *campaign.Sending, r *Request) error {
	return s.update(func(t *tx) error {
		if err := t.begin(head); err != nil || r == nil {
			return err
		}
		r.Sending = head.ID
		return tables.PutRequest(t.Tx, r)
	})
}

func (t *tx) begin(head *campaign.Sending) error {
	n, err := t.Bucket(bucketSendings).NextSequence()
	if err != nil {
		return err
	}
	if head.ReceivedAt.IsZero() {
		head.ReceivedAt = now()
	}
	head.ReceivedAt = head.ReceivedAt.UTC()
	head.ID, head.Tag, head.State = campaign.NewID(head.ReceivedAt, n), t.s.Tag(), campaign.StateChecking
	return t.putHeader(n, head, "", nil)
}
