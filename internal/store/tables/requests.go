package tables

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

// PutRequest remembers a request in a transaction. It replaces an older one of its key.
func PutRequest(t *db.Tx, r *Request) error { return t.PutJSON(bucketRequests, r.Key[:], r) }

// AnswerRequest records the answer to the request with r's key.
func (s Tables) AnswerRequest(r *Request) error {
	return s.db.Update(func(t *db.Tx) error { return PutRequest(t, r) })
}

// Request returns the request with that key, or nil if there is none.
func (s Tables) Request(key [32]byte) (r *Request, err error) {
	err = s.db.View(func(t *db.Tx) error {
		value := t.Value(bucketRequests, key[:])
		if value == nil {
			return nil
		}
		r = &Request{Key: key}
		return db.DecodeJSON("request", value, r)
	})
	return r, err
}

// ForgetRequests removes the requests made before an instant, and returns how many.
func (s Tables) ForgetRequests(before time.Time) (int, error) {
	n, err := s.db.RemoveExpired(bucketRequests, func(value []byte) bool {
		var r Request
		return json.Unmarshal(value, &r) != nil || r.At.Before(before)
	}, func(t *db.Tx, k []byte) error { return t.Bucket(bucketRequests).Delete(k) })
	if err != nil {
		return 0, fmt.Errorf("forget requests: %w", err)
	}
	return n, nil
}
