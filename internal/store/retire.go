package store

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/store/db"
	"campaignd/internal/store/inbound"
	"campaignd/internal/store/slots"
)

// removeKeys is the most keys one removal transaction deletes: with blocks of 16 KB about
// 8 MB, so that other writers wait only briefly.
const removeKeys = 512

// Retention removes sendings that ended long ago (docs/contract.md 12, promise 5).
type Retention struct{ *core }

// EndedBefore returns the headers of up to limit filed sendings that finished before an
// instant, oldest first, starting after the given one ("": from the oldest).
func (s Retention) EndedBefore(before time.Time, after campaign.ID, limit int) ([]*campaign.Sending, error) {
	var old []*campaign.Sending
	err := s.view(func(t *tx) error {
		c := t.Bucket(bucketSendings).Cursor()
		for k, v := c.Seek(db.Key8(after.Number() + 1)); k != nil && len(old) < limit; k, v = c.Next() {
			if len(v) < headerFixed || v[2] != 1 {
				continue
			}
			head, err := decodeHeader(v)
			if err != nil {
				return err
			}
			if head.FinishedAt.Before(before) {
				old = append(old, head)
			} else if head.ReceivedAt.After(before) {
				break // the later ones were received even later
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for old sendings: %w", err)
	}
	return old, nil
}

// Remove removes a filed sending with all its data, and reports whether it did; one that
// isn't filed stays. The sending disappears at once; its data is deleted in further
// transactions, so that other writers wait only briefly. After a crash or an error
// FinishRemovals deletes the rest.
func (s Retention) Remove(id campaign.ID) (bool, error) {
	gone, done := false, false
	var n uint64
	err := s.update(func(t *tx) error {
		var head *campaign.Sending
		var err error
		if n, head, err = t.byID(id); errors.Is(err, ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		if t.Bucket(bucketActive).Get(db.Key8(n)) != nil {
			return nil // it was resent meanwhile
		}
		if err := t.release(n, head); err != nil {
			return err
		}
		gone = true
		done, err = t.clear(n)
		return err
	})
	if err == nil && gone {
		failpoint.At(failpoint.Forgotten)
	}
	for err == nil && gone && !done {
		err = s.update(func(t *tx) (err error) {
			done, err = t.clear(n)
			return err
		})
	}
	if err != nil {
		return false, fmt.Errorf("remove sending %q: %w", id, err)
	}
	return gone, nil
}

// FinishRemovals deletes the data of sendings whose removal was interrupted.
func (s Retention) FinishRemovals() error {
	for {
		var left []uint64
		err := s.view(func(t *tx) error {
			for k := range t.Prefixed(bucketLeaving, nil) {
				left = append(left, binary.BigEndian.Uint64(k))
			}
			return nil
		})
		for i := 0; i < len(left) && err == nil; i++ {
			err = s.update(func(t *tx) error {
				_, err := t.clear(left[i])
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("finish removals: %w", err)
		}
		if len(left) == 0 {
			return nil
		}
	}
}

// release removes a filed sending from the indexes and lists it as leaving.
func (t *tx) release(n uint64, head *campaign.Sending) error {
	if key, err := hex.DecodeString(head.Digest); err == nil && len(key) == 32 {
		if value := t.Bucket(bucketDigests).Get(key); len(value) >= digestEntry && binary.BigEndian.Uint64(value) == n {
			if err := t.Bucket(bucketDigests).Delete(key); err != nil {
				return err
			}
		}
	}
	// After a jump of the clock its slots may be in the future again.
	if err := slots.FreeUnsent(t.Tx, ownerOf, n, head.ApplicationID, nil); err != nil {
		return err
	}
	if _, err := t.Made(bucketLeaving); err != nil {
		return err
	}
	return errors.Join(t.Bucket(bucketSendings).Delete(db.Key8(n)), t.Bucket(bucketLeaving).Put(db.Key8(n), nil), t.countState(head.State, ""))
}

// clear deletes part of a removed sending's data, and reports whether that was the last.
func (t *tx) clear(n uint64) (bool, error) {
	left := removeKeys
	for _, name := range bucketsOfSending() {
		removed, err := t.DeletePrefixed(name, db.Key8(n), left)
		if err != nil {
			return false, err
		}
		if left -= removed; left == 0 {
			return false, nil
		}
	}
	return true, t.Bucket(bucketLeaving).Delete(db.Key8(n))
}

// bucketsOfSending lists the buckets whose keys begin with a sending's number.
func bucketsOfSending() [][]byte {
	return slices.Concat(inbound.BucketsOfSending(), slots.BucketsOfSending(), [][]byte{bucketCounts, bucketChunks, bucketStatuses, bucketOutcomes, bucketInFlight, bucketRefusals,
		bucketRetries, bucketWaiting})
}

// isLeaving reports whether a removed sending's data is still being deleted.
func isLeaving(t *tx, n uint64) bool { return t.Value(bucketLeaving, db.Key8(n)) != nil }
