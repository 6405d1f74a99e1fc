package store

import (
	"encoding/json"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// Request remembers an upload that began a sending, by its Idempotency-Key (docs/contract.md 10).
type Request struct {
	Key     [32]byte    `json:"-"`
	Content [32]byte    `json:"content"` // digest of everything that was uploaded
	At      time.Time   `json:"at"`
	Sending campaign.ID `json:"sending"`
	Answer  []byte      `json:"answer,omitempty"` // nil: it wasn't given yet
}

// BeginUpload is Begin for an upload. If r isn't nil, it is remembered in the same transaction, so
// that a crash leaves both or neither. It sets r's Sending and replaces an older request of its key.
func (s *Store) BeginUpload(head *campaign.Sending, r *Request) error {
	return s.update(func(t *tx) error {
		if err := t.begin(head); err != nil || r == nil {
			return err
		}
		r.Sending = head.ID
		return t.PutJSON(bucketRequests, r.Key[:], r)
	})
}

// AnswerRequest records the answer to the request with r's key.
func (s *Store) AnswerRequest(r *Request) error {
	return s.update(func(t *tx) error { return t.PutJSON(bucketRequests, r.Key[:], r) })
}

// Request returns the request with that key, or nil if there is none.
func (s *Store) Request(key [32]byte) (r *Request, err error) {
	err = s.view(func(t *tx) error {
		b := t.Existing(bucketRequests)
		if b == nil {
			return nil
		}
		value := b.Get(key[:])
		if value == nil {
			return nil
		}
		r = &Request{Key: key}
		if err := json.Unmarshal(value, r); err != nil {
			return fmt.Errorf("read request: %w: %w", ErrDamaged, err)
		}
		return nil
	})
	return r, err
}

// ForgetRequests removes the requests made before an instant, and returns how many.
func (s *Store) ForgetRequests(before time.Time) (int, error) {
	n, err := s.db.RemoveExpired(bucketRequests, func(value []byte) bool {
		var r Request
		return json.Unmarshal(value, &r) != nil || r.At.Before(before)
	}, func(t *db.Tx, k []byte) error { return t.Bucket(bucketRequests).Delete(k) })
	if err != nil {
		return 0, fmt.Errorf("forget requests: %w", err)
	}
	return n, nil
}
