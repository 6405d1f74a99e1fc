package service

import (
	"context"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// Throughput counts a sending's results over time. It reads all results from the
// store, so it works after a restart and for sendings that ended long ago.
func (svc *Service) Throughput(ctx context.Context, id campaign.ID) (api.Throughput, error) {
	var tally api.Tally
	err := svc.Store.EachResult(id, func(at time.Time, o campaign.Outcome) error {
		tally.Add(at, o)
		return ctx.Err()
	})
	return tally.Throughput(), noSending(id, err)
}
