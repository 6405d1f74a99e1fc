package store

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"campaignd/internal/campaign"
)

// Stats are figures for metrics.
type Stats struct {
	FileBytes int64
	FreeBytes int64 // of the file, reusable
	Sendings  map[campaign.State]uint64
	Messages  campaign.Counts // of the sendings that are not filed
	Commits   uint64          // write transactions since Open
	Entries   uint64          // entries written by Commit since Open
}

// Stats reads the figures; it costs by the number of unfiled sendings.
func (s *Store) Stats() (Stats, error) {
	st := Stats{Sendings: map[campaign.State]uint64{}, Commits: s.commits.Load(), Entries: s.entries.Load()}
	err := s.view(func(t *tx) error {
		st.FileBytes = t.Size()
		pages := t.DB().Stats()
		st.FreeBytes = int64(pages.FreePageN+pages.PendingPageN) * int64(t.DB().Info().PageSize)
		value := t.bucket(bucketMeta).Get(metaStates)
		for code := 1; 8*code+8 <= len(value); code++ {
			if state, ok := stateOf(byte(code)); ok {
				st.Sendings[state] = binary.BigEndian.Uint64(value[8*code:])
			}
		}
		return t.eachActive(func(n uint64, _ *record) error {
			b, err := t.books(n)
			for o, count := range b.counts {
				st.Messages[o] += count
			}
			return err
		})
	})
	if err != nil {
		return Stats{}, fmt.Errorf("read figures of the store: %w", err)
	}
	return st, nil
}

// Prune removes, with everything that belongs to them, up to limit filed sendings
// that finished before an instant, oldest first, and returns how many (retention).
func (s *Store) Prune(before time.Time, limit int) (int, error) {
	var old []uint64
	err := s.view(func(t *tx) error {
		c := t.bucket(bucketSendings).Cursor()
		for k, v := c.First(); k != nil && len(old) < limit; k, v = c.Next() {
			if len(v) < headerFixed || v[2] != 1 {
				continue
			}
			head, err := decodeHeader(v)
			if err != nil {
				return err
			}
			if head.FinishedAt.Before(before) {
				old = append(old, binary.BigEndian.Uint64(k))
			} else if head.ReceivedAt.After(before) {
				break // those after it came later still
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for old sendings: %w", err)
	}
	for i, n := range old {
		if err := s.update(func(t *tx) error { return t.remove(n) }); err != nil {
			return i, fmt.Errorf("remove old sending: %w", err)
		}
	}
	return len(old), nil
}

// remove forgets a filed sending altogether.
func (t *tx) remove(n uint64) error {
	value := t.bucket(bucketSendings).Get(key8(n))
	if value == nil || t.bucket(bucketActive).Get(key8(n)) != nil {
		return nil // a resend came between
	}
	head, err := decodeHeader(value)
	if err != nil {
		return err
	}
	if key, err := hex.DecodeString(head.Digest); err == nil && len(key) == 32 {
		if value := t.bucket(bucketDigests).Get(key); len(value) >= digestEntry && binary.BigEndian.Uint64(value) == n {
			if err := t.bucket(bucketDigests).Delete(key); err != nil {
				return err
			}
		}
	}
	prefix := key8(n)
	for _, bucket := range [][]byte{bucketSendings, bucketSlices, bucketCounts, bucketChunks, bucketMarks, bucketOutcomes,
		bucketRefusals, bucketRetries, bucketWaiting, bucketInFlight, bucketDeliveries, bucketTold} {
		if err := t.dropPrefix(bucket, prefix); err != nil {
			return err
		}
	}
	return t.countState(head.State, "")
}
