package sheet

import (
	"context"
	"io"

	"campaignd/internal/campaign"
)

// Inspect reads r to its end, or to a byte beyond size, and says what it is. It
// holds one block in memory. progress, which may be nil, is called after
// every block with the bytes read so far. The error is ctx's or that of r.
func Inspect(ctx context.Context, r io.Reader, size int64, progress func(read int64)) (Info, error) {
	panic("being built")
}

// Problems are the reasons for which the file can't be read at all: NUL bytes,
// bytes that its encoding doesn't have, no content. file is its base name, for messages.
func (in *Info) Problems(file string) campaign.Problems { panic("being built") }
