package plan

import "campaignd/internal/campaign"

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
