package store

import (
	"cmp"
	"fmt"
	"slices"

	"campaignd/internal/campaign"
)

// Upcoming returns the unfinished sendings of an application that were accepted: paused and held
// ones first, then the others in the order in which they are due. It returns at most limit ids
// (0: all), and the number of all. It reads no headers.
func (s Timeline) Upcoming(application int64, limit int) (ids []campaign.ID, total int, err error) {
	var found []*record
	err = s.view(func(t *tx) error {
		return t.eachActive(func(_ uint64, rec *record) error {
			if rec.application == application && rec.state != campaign.StateChecking && !rec.state.Final() {
				found = append(found, rec)
			}
			return nil
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list what is due: %w", err)
	}
	slices.SortFunc(found, func(a, b *record) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) })
	total = len(found)
	if limit > 0 {
		found = found[:min(limit, total)]
	}
	for _, rec := range found {
		ids = append(ids, rec.id)
	}
	return ids, total, nil
}

// States returns the states of the unfinished sendings that were accepted, without reading their headers.
func (s Timeline) States() (map[campaign.ID]campaign.State, error) {
	states := map[campaign.ID]campaign.State{}
	err := s.view(func(t *tx) error {
		return t.eachActive(func(_ uint64, rec *record) error {
			if rec.state != campaign.StateChecking && !rec.state.Final() {
				states[rec.id] = rec.state
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read states: %w", err)
	}
	return states, nil
}
