package store

import (
	"errors"
	"time"
)

// AttemptsSince implements send.Store. It reads the outcomes of all sliced sendings of the
// application that hadn't ended by since. All attempts of a message count if its last one was made
// since then, and so do the messages that Recover found in flight and made Pending again: nobody
// knows when they were handed over.
func (s *Store) AttemptsSince(application int64, since time.Time) (uint64, error) {
	heads, err := s.Sendings(Filter{Application: application})
	if err != nil {
		return 0, err
	}
	n := s.recovered[application]
	for _, head := range heads {
		if !head.Sliced || head.StartedAt.IsZero() || !head.FinishedAt.IsZero() && head.FinishedAt.Before(since) {
			continue
		}
		err := s.eachResult(head.ID, func(r result) error {
			if r.at >= since.UnixMilli() {
				n += uint64(r.attempts)
			}
			return nil
		})
		if errors.Is(err, ErrNotFound) {
			continue // removed meanwhile
		}
		retries, retriesErr := s.Retries(head.ID)
		if err := errors.Join(err, retriesErr); err != nil {
			return 0, err
		}
		for i := range retries {
			if !retries[i].At.Before(since) {
				n += uint64(max(retries[i].Attempts, 1)) // a throttled attempt isn't in Attempts
			}
		}
	}
	return n, nil
}
