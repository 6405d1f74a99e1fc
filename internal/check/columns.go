package check

import (
	"context"
	"fmt"
	"io"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/plan/csvfile"
)

// Columns returns the names in the header of the drop's CSV, which it unpacks if it came packed or
// as a spreadsheet, for making a layout of them. wanted are names that are expected; they decide
// the delimiter. With problems the drop would be rejected whatever its layout is. The error
// concerns this machine.
func (c *Checker) Columns(ctx context.Context, p *Parts, in *config.Inbox, wanted []string) ([]string, campaign.Problems, error) {
	if err := c.Unpack(ctx, p, in); err != nil {
		return nil, campaign.Problems{}, err
	}
	if refused := p.Refused(); refused != nil {
		return nil, campaign.Problems{List: []campaign.Problem{refused.Problem}, Count: 1}, nil
	}
	info, err := Inspect(ctx, p)
	if err != nil {
		return nil, campaign.Problems{}, err
	}
	if problems := info.Problems(p.CSV.Name); problems.Count > 0 {
		return nil, problems, nil
	}
	if _, err := p.CSV.File.Seek(0, io.SeekStart); err != nil {
		return nil, campaign.Problems{}, fmt.Errorf("read %q: %w", p.CSV.Name, err)
	}
	reader, problems, err := csvfile.NewReader(p.CSV.File, *info, csvfile.Options{File: p.CSV.Name, Wanted: wanted})
	if err != nil || reader == nil {
		return nil, problems, err
	}
	return reader.Columns(), problems, nil
}
