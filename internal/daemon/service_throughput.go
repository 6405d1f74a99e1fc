package daemon

import (
	"context"
	"errors"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
	"campaignd/internal/store"
)

// Pace says how fast a sending went. It reads all of its results, so that it is
// true after a restart and of a sending that ended long ago.
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
