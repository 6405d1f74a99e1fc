package plan

import "campaignd/internal/campaign"

// Slices converts placements to consecutive ranges of rows, beginning at row 0.
func Slices(placed []Placement) []campaign.Slice {
	slices := make([]campaign.Slice, len(placed))
	var row uint32
	for i, p := range placed {
		slices[i] = campaign.Slice{Start: p.Start, End: p.End, First: row, Rows: p.Recipients, Recipients: p.Recipients}
		row += p.Recipients
	}
	return slices
}
