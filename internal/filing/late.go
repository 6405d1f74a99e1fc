package filing

import (
	"context"
	"errors"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/folders"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
)

const (
	// maxLateRows is the number of rows up to which the files of an ended sending are renewed before
	// the next housekeeping: those of more take seconds to write.
	maxLateRows = 1_000_000
	// maxRenewal is the longest interval between renewals.
	maxRenewal = time.Hour
	// maxLateSleep limits the time until new receipts are looked for: results_refresh may be changed.
	maxLateSleep = time.Minute
)

// renewal is when the files of an ended sending may be renewed again.
type renewal struct {
	next     time.Time
	interval time.Duration // grows while receipts and replies keep arriving
}

// RenewReports renews the files of ended sendings within results_refresh after receipts or replies
// have arrived, then at growing intervals up to an hour (docs/contract.md 9), until ctx ends.
func (k *Keeper) RenewReports(ctx context.Context) {
	renewals := map[campaign.ID]renewal{}
	for {
		refresh := k.config().ResultsRefresh
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(refresh/2, maxLateSleep)):
			if err := k.renew(ctx, renewals, refresh); err != nil && ctx.Err() == nil && !k.log.Recently(err.Error()) {
				k.log.Error("renew files with later receipts and replies; retrying", "err", err)
			}
		}
	}
}

// renew renews what is due now.
func (k *Keeper) renew(ctx context.Context, renewals map[campaign.ID]renewal, refresh time.Duration) error {
	stale, err := k.store.StaleReports()
	now := k.now()
	for id, r := range renewals {
		if now.Sub(r.next) > r.interval { // nothing has arrived for a whole interval
			delete(renewals, id)
		}
	}
	for _, id := range stale {
		r, known := renewals[id]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if known && now.Before(r.next) {
			continue
		}
		s, headerErr := k.store.Header(id)
		if headerErr != nil || s.Rows.Total > maxLateRows {
			continue // removed meanwhile, or left to housekeeping
		}
		err = errors.Join(err, k.reportLate(id))
		r.interval = min(max(refresh, 2*r.interval), maxRenewal)
		r.next = now.Add(r.interval)
		renewals[id] = r
	}
	return err
}

// ReportLate renews the files of all ended sendings whose receipts or replies arrived after the
// last report.
func (k *Keeper) ReportLate(ctx context.Context) error {
	late, err := k.store.StaleReports()
	for _, id := range late {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// One failure doesn't stop the others.
		err = errors.Join(err, k.reportLate(id))
	}
	return err
}

// reportLate replaces each file of one sending atomically. It writes nothing if somebody removed
// the folder.
func (k *Keeper) reportLate(id campaign.ID) error {
	unlock := k.folders.Lock(id)
	defer unlock()
	s, _, _, err := k.store.Load(id)
	if err != nil {
		return err
	}
	if !s.Filed {
		return nil // reopened: the files are written when it ends
	}
	dir := folders.Final(s)
	gone, err := k.inboxes.Gone(s.Inbox, dir)
	if err != nil {
		return err // written when the inbox is back
	}
	if !gone {
		if err := report.Write(dir, k.store, id, k.config().Zone(s.ApplicationID)); err != nil {
			return err
		}
		if err := safeio.SyncDir(dir); err != nil {
			return err
		}
		k.log.Info("files renewed with later receipts and replies", "sending", id, "folder", dir)
	}
	return k.store.MarkReported(id, s.ReceiptVersion)
}
