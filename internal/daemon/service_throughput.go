package daemon

import (
	"context"
	"errors"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
	"campaignd/internal/store"
)

// Throughput counts a sending's results over time. It reads all results from the
// store, so it works after a restart and for sendings that ended long ago.
func (d *Daemon) Throughput(ctx context.Context, id campaign.ID) (control.Throughput, error) {
	var tally control.Tally
	err := d.store.EachResult(id, func(at time.Time, o campaign.Outcome) error {
		tally.Add(at, o)
		return ctx.Err()
	})
	if errors.Is(err, store.ErrNotFound) {
		return control.Throughput{}, control.NotFoundf("there is no sending %s", id)
	}
	return tally.Throughput(), err
}
