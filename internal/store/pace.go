package store

import (
	"fmt"
	"time"

	"campaignd/internal/campaign"
)

// EachResult calls fn with the time and the outcome of every final result that
// was noted for a sending's messages, chunk by chunk and within a chunk in the
// order in which they were noted; one that was sent again comes once more. Each chunk is read in a
// transaction of its own that ends before fn is called (PITFALLS 29). fn's error
// ends the walk and is returned. ErrNotFound if there is no such sending.
func (s *Store) EachResult(id campaign.ID, fn func(at time.Time, o campaign.Outcome) error) error {
	var entries []campaign.Entry
	for chunk, chunks := uint32(0), uint32(1); chunk < chunks; chunk++ {
		err := s.view(func(t *tx) error {
			n, rec, err := t.shapeOf(id)
			if err != nil {
				return err
			}
			chunks = rec.chunks()
			entries, err = t.details(n, chunk, entries[:0])
			return err
		})
		if err != nil {
			return fmt.Errorf("read results of %s: %w", id, err)
		}
		for i := range entries {
			if !entries[i].Outcome.Final() {
				continue
			}
			if err := fn(entries[i].At, entries[i].Outcome); err != nil {
				return err
			}
		}
	}
	return nil
}
