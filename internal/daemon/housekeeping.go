package daemon

import (
	"context"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/service"
	"campaignd/internal/store"
)

const (
	// maxHousekeepingSleep limits the time until housekeeping checks the clock and the
	// configuration again: the clock may be set and the configuration reloaded.
	maxHousekeepingSleep = time.Minute
	// shortRetention is the retention below which it is applied at every wake-up instead of
	// on the cron schedule: data kept for an hour mustn't stay until the night.
	shortRetention = 24 * time.Hour
	// minCompactBytes is the free space, in bytes, from which the store is compacted automatically.
	minCompactBytes = 256 << 10
	// compactEvery is the minimum interval between automatic compactions.
	compactEvery = 10 * time.Minute
	// compactMargin and compactRate, in bytes a second, give the time in which nothing may be due when
	// an automatic compaction begins: nothing is sent while it copies the store.
	compactMargin = time.Minute
	compactRate   = 50 << 20
	// freeSpaceEvery is the interval between checks for free space if retention removed nothing.
	freeSpaceEvery = time.Hour
)

// housekeeping runs the maintenance tasks on their schedule until ctx ends. At start it applies
// the retention that became due while the daemon was down. A failed task is logged and repeated
// the next time; it doesn't stop the other tasks.
func (d *Daemon) housekeeping(ctx context.Context) {
	var compacted, checked time.Time     // last automatic compaction, last check for free space
	removed := d.applyRetention(ctx) > 0 // something was removed since the last check
	for last := d.now(); ; {
		if age := d.now().Sub(checked); removed || age < 0 || age >= freeSpaceEvery {
			checked = d.now()
			removed = !d.compactHalfFree(ctx, &compacted)
		}
		next := d.current().Housekeeping.Next(last)
		wait := min(max(next.Sub(d.now()), 0), maxHousekeepingSleep)
		if next.IsZero() {
			wait = maxHousekeepingSleep
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		now := d.now()
		if next.IsZero() || now.Before(next) {
			if last.After(now) {
				last = now // the clock was set back
			}
			if d.current().Retention < shortRetention {
				removed = d.applyRetention(ctx) > 0 || removed
			}
			continue
		}
		last = now
		removed = d.applyRetention(ctx) > 0 || removed
		d.logTask(ctx, "files of sendings with later receipts", d.keeper.ReportLate(ctx))
		_, err := d.store.ForgetContacts(now)
		d.logTask(ctx, "expired contact counts", err)
		_, err = d.store.ForgetUserIDs(now.Add(-userIDsKept))
		d.logTask(ctx, "user ids that were not seen for long", err)
		_, err = d.store.ForgetRequests(now.Add(-service.RequestsKept))
		d.logTask(ctx, "uploads whose keys have expired", err)
		_, err = d.media.Collect(d.neededMedia, now.Add(-mediaSpared))
		d.logTask(ctx, "copies of files that no sending needs", err)
	}
}

// userIDsKept is the time after its last receipt in which a user id is remembered.
const userIDsKept = 90 * 24 * time.Hour

// mediaSpared is the time in which the copy of a file isn't removed: its sending may not be accepted yet.
const mediaSpared = 24 * time.Hour

// neededMedia returns the SHA-256 of the files that stored sendings may still send.
func (d *Daemon) neededMedia() (map[string]bool, error) {
	needed := map[string]bool{}
	for f := (store.Filter{Limit: 1000}); ; {
		heads, err := d.store.Sendings(f)
		if err != nil || len(heads) == 0 {
			return needed, err
		}
		for _, s := range heads {
			if s.State == campaign.StateRejected || s.State == campaign.StateCanceled {
				continue
			}
			for _, m := range s.Media {
				needed[m.SHA256] = true
			}
		}
		f.Before = heads[len(heads)-1].ID
	}
}

// logTask logs a task's error.
func (d *Daemon) logTask(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.Error("housekeeping; retrying the next time", "task", name, "err", err)
	}
}

// applyRetention removes everything older than retention and returns the number of removed sendings.
func (d *Daemon) applyRetention(ctx context.Context) int {
	keep := d.current().Retention
	if keep <= 0 {
		return 0
	}
	before := d.now().Add(-keep)
	n, err := d.keeper.Retire(ctx, before)
	d.logTask(ctx, "retention", err)
	if n > 0 {
		d.log.Info("retention applied", "sendings", n, "endedBefore", before.UTC())
	}
	return n
}

// compactHalfFree compacts the store if at least half of its file is free and nothing is due soon.
// It returns false if it must be called again soon.
func (d *Daemon) compactHalfFree(ctx context.Context, last *time.Time) bool {
	now := d.now()
	if age := now.Sub(*last); age >= 0 && age < compactEvery {
		return false
	}
	stats, err := d.store.Stats()
	if err != nil || stats.FreeBytes < minCompactBytes || stats.FreeBytes*2 < stats.FileBytes {
		return true // an unreadable store is reported elsewhere
	}
	takes := time.Duration((stats.FileBytes-stats.FreeBytes)/compactRate) * time.Second
	if due, _, err := d.store.Due(now.Add(compactMargin + takes)); err != nil || len(due) > 0 {
		return false
	}
	*last = now
	_, err = d.Compact(ctx, "daemon")
	if api.CodeOf(err) == api.CodeConflict {
		return false
	}
	d.logTask(ctx, "compaction", err)
	return true
}
