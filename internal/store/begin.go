package store

import (
	"campaignd/internal/campaign"
	"campaignd/internal/store/tables"
)

// Acceptance takes a sending from its claim through its rows to its acceptance or refusal. Intake uses it.
type Acceptance struct{ *core }

// Begin records a claim durably. It sets head's ID, Tag, ReceivedAt (now, if zero) and
// state checking. If r isn't nil, this upload is remembered in the same transaction, so that a crash
// leaves both or neither; Begin sets r's Sending and replaces an older request of its key.
func (s Acceptance) Begin(head *campaign.Sending, r *Request) error {
	return s.update(func(t *tx) error {
		n, err := t.Bucket(bucketSendings).NextSequence()
		if err != nil {
			return err
		}
		if head.ReceivedAt.IsZero() {
			head.ReceivedAt = now()
		}
		head.ReceivedAt = head.ReceivedAt.UTC()
		head.ID, head.Tag, head.State = campaign.NewID(head.ReceivedAt, n), t.s.db.Tag(), campaign.StateChecking
		if err := t.putHeader(n, head, "", nil); err != nil || r == nil {
			return err
		}
		r.Sending = head.ID
		return tables.PutRequest(t.Tx, r)
	})
}
