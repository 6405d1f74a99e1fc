package send

import (
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Replan gives what is pending of passed slices the next slots, of which each
// holds capacity messages less those of the sending's slices in it. Passed slices
// stay: they hold those whose next message is in flight or waits for its retry.
func (m *memoryStore) Replan(id campaign.ID, grid plan.Grid, now time.Time) ([]campaign.Slice, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.sendings[id]
	k.replans++
	var expired uint64
	var kept, fresh []campaign.Slice
	booked := map[int64]uint32{}
	placed := map[uint32]bool{} // rows with a slice that has not passed
	for _, s := range k.slices {
		kept = append(kept, s)
		if !s.Sliced() || s.End.After(now) {
			booked[grid.Number(s.Start)] += s.Recipients * uint32(k.s.Messages)
			for r := range s.Rows {
				placed[s.First+r] = true
			}
		}
	}
	until := k.s.ScheduledAt.Add(plan.Horizon)
	for _, s := range k.slices {
		if !s.Sliced() || s.End.After(now) {
			continue
		}
		slot, mine := grid.Number(now), len(fresh)
		for r := s.First; r < s.First+s.Rows; r++ {
			if !k.unsent(int(r)) || placed[r] {
				continue
			}
			placed[r] = true
			room := func(n int64) int {
				free := int(grid.Capacity) - int(booked[n])
				if n == grid.Number(now) {
					free = int(float64(grid.Capacity)*float64(grid.Start(n+1).Sub(now))/float64(grid.Slot)) - int(booked[n])
				}
				if !grid.Windows.OpenThrough(grid.Start(n), grid.Start(n+1)) {
					return 0
				}
				return free / k.s.Messages
			}
			for room(slot) <= 0 && grid.Start(slot).Before(until) {
				slot++
			}
			if !grid.Start(slot).Before(until) {
				for j := range k.messages(int(r)) {
					if k.statuses[r][j].Outcome() == campaign.Pending {
						k.statuses[r][j] = campaign.NewMessageStatus(campaign.Expired, k.statuses[r][j].Attempts())
						expired++
					}
				}
				continue
			}
			booked[slot] += uint32(k.s.Messages)
			start := grid.Start(slot)
			if start.Before(now) {
				start = now
			}
			if n := len(fresh); n > mine && fresh[n-1].Start.Equal(start) {
				fresh[n-1].Rows = r - fresh[n-1].First + 1
				fresh[n-1].Recipients++
				continue
			}
			fresh = append(fresh, campaign.Slice{Start: start, End: grid.Start(slot + 1), First: r, Rows: 1, Recipients: 1})
		}
	}
	kept = slices.DeleteFunc(kept, func(s campaign.Slice) bool {
		if !s.Sliced() || s.End.After(now) {
			return false
		}
		for r := range s.Rows {
			if at := s.First + r; !placed[at] && k.inFlight(int(at)) {
				return false
			}
		}
		return true
	})
	k.slices = append(kept, fresh...)
	slices.SortStableFunc(k.slices, func(a, b campaign.Slice) int { return a.Start.Compare(b.Start) })
	return slices.Clone(k.slices), expired, nil
}
