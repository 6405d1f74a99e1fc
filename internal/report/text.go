package report

import "io"
import "campaignd/internal/campaign"

// Text writes report.txt.
func Text(w io.Writer, s *campaign.Sending, slices []campaign.Slice, counts campaign.Counts) error {
	panic("being built")
}
