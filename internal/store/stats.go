package store

import (
	"encoding/binary"
	"fmt"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// Stats are the store's figures for metrics.
type Stats struct {
	FileBytes int64
	FreeBytes int64 // reusable part of the file
	Sendings  map[campaign.State]uint64
	Messages  campaign.Counts // of the sendings that aren't filed
	Commits   uint64          // write transactions since Open
	Entries   uint64          // entries written by Commit since Open
}

// Stats reads the figures. Its cost grows with the number of unfiled sendings.
func (s *Store) Stats() (Stats, error) {
	st := Stats{Sendings: map[campaign.State]uint64{}, Commits: s.db.Commits(), Entries: s.committer.entries.Load()}
	err := s.view(func(t *tx) error {
		st.FileBytes = t.Size()
		pages := t.DB().Stats()
		st.FreeBytes = int64(pages.FreePageN+pages.PendingPageN) * int64(t.DB().Info().PageSize)
		value := t.Bucket(db.Meta).Get(metaStates)
		for code := 1; 8*code+8 <= len(value); code++ {
			if state, ok := stateOf(byte(code)); ok {
				st.Sendings[state] = binary.BigEndian.Uint64(value[8*code:])
			}
		}
		return t.eachActive(func(n uint64, _ *record) error {
			b, err := t.counters(n)
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
