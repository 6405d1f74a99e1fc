package plan

import (
	"iter"

	"campaignd/internal/campaign"
)

// Slices are the placements as ranges of rows, in order: the first gets rows
// from 0 on, each next one those that follow.
func Slices(placed []Placement) []campaign.Slice {
	slices := make([]campaign.Slice, len(placed))
	var row uint32
	for i, p := range placed {
		slices[i] = campaign.Slice{Start: p.Start, End: p.End, First: row, Rows: p.Recipients, Recipients: p.Recipients}
		row += p.Recipients
	}
	return slices
}

// SlicesAgain are the placements of Replan as ranges of rows. unsent yields, in
// order, the rows that still have something to send, each with the number of
// the passed slice it belonged to; the first placement gets the first of them,
// and so on. A range never reaches over from one passed slice into another,
// because the rows between may belong to a slice that is still to come: so a
// slot may get several ranges. Rows beyond what was placed get none.
func SlicesAgain(placed []Placement, unsent iter.Seq2[int, uint32]) []campaign.Slice {
	var slices []campaign.Slice
	p, held, group := 0, uint32(0), -1 // held: rows that placed[p] has got
	for passed, row := range unsent {
		if p < len(placed) && held == placed[p].Recipients {
			p, held, group = p+1, 0, -1
		}
		if p == len(placed) {
			break
		}
		if passed != group {
			group = passed
			slices = append(slices, campaign.Slice{Start: placed[p].Start, End: placed[p].End, First: row})
		}
		s := &slices[len(slices)-1]
		s.Rows = row - s.First + 1
		s.Recipients++
		held++
	}
	return slices
}
