package daemon

import (
	"context"
	"errors"
	"time"

	"campaignd/internal/control"
	"campaignd/internal/store"
)

const (
	// wakeHouse is the longest that housekeeping sleeps before it looks at the clock and the
	// configuration again: the one may be set, the other be reloaded.
	wakeHouse = time.Minute
	// shortRetention is under which retention is looked after at every waking, and not
	// only when the cron schedule says: who keeps data for an hour doesn't want it to stay until the night.
	shortRetention = 24 * time.Hour
	// worthCompacting is from how many free bytes on the store is compacted by itself.
	worthCompacting = 256 << 10
	// compactEvery is the least time between two compactions that nobody asked for.
	compactEvery = 10 * time.Minute
	// lookForSpace is how often the store is looked at for free space where retention removed nothing.
	lookForSpace = time.Hour
)

// keepHouse does the chores at the times that the configuration says, until ctx ends, and at the
// start what retention has made due while nothing ran. A chore that fails is logged and done again
// the next time; the others are done all the same.
func (d *Daemon) keepHouse(ctx context.Context) {
	var compacted, looked time.Time // when that was last done by itself, and looked for
	removed := d.retire(ctx) > 0    // and the store not looked at since
	for last := d.now(); ; {
		if age := d.now().Sub(looked); removed || age < 0 || age >= lookForSpace {
			looked = d.now()
			removed = !d.compactHalfFree(ctx, &compacted)
		}
		next := d.current().Housekeeping.Next(last)
		wait := min(max(next.Sub(d.now()), 0), wakeHouse)
		if next.IsZero() {
			wait = wakeHouse
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		now := d.now()
		if next.IsZero() || now.Before(next) {
			if last.After(now) {
				last = now // the clock was set back
			}
			if d.current().Retention < shortRetention {
				removed = d.retire(ctx) > 0 || removed
			}
			continue
		}
		last = now
		removed = d.retire(ctx) > 0 || removed
		d.chore(ctx, "files of sendings of which more was told since", d.intake.ReportLate(ctx))
		_, err := d.store.ForgetContacts(now)
		d.chore(ctx, "contacts that count no more", err)
	}
}

// chore logs what came of one.
func (d *Daemon) chore(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.Error("housekeeping; it is done again the next time", "chore", name, "err", err)
	}
}

// retire removes what is older than retention and returns how many sendings that were.
func (d *Daemon) retire(ctx context.Context) int {
	keep := d.current().Retention
	if keep <= 0 {
		return 0
	}
	before := d.now().Add(-keep)
	n, err := d.intake.Retire(ctx, before)
	d.chore(ctx, "what is older than retention", err)
	if n > 0 {
		d.log.Info("retention applied", "sendings", n, "endedBefore", before.UTC())
	}
	return n
}

// compactHalfFree gives the store's free space back where that is half of its file; false: it
// is to be asked again soon.
func (d *Daemon) compactHalfFree(ctx context.Context, last *time.Time) bool {
	now := d.now()
	if age := now.Sub(*last); age >= 0 && age < compactEvery {
		return false
	}
	stats, err := d.store.Stats()
	if err != nil || stats.FreeBytes < worthCompacting || stats.FreeBytes*2 < stats.FileBytes {
		return true // a store that can't be read is said elsewhere
	}
	*last = now
	_, err = d.compact(ctx, "daemon")
	if errors.Is(err, store.ErrBusy) {
		return false
	}
	d.chore(ctx, "free space of the store", err)
	return true
}

func (d *Daemon) compact(ctx context.Context, who string) (store.Compacted, error) {
	done, err := d.store.Compact(ctx)
	if err != nil {
		return done, err
	}
	d.log.Info("store compacted", "bytesBefore", done.Before, "bytesAfter", done.After,
		"took", done.Took.Round(time.Millisecond).String(), "held", done.Paused.Round(time.Millisecond).String(), "who", who)
	return done, d.store.Audit(store.AuditEntry{Who: who, Action: "compact"})
}

// Compact implements control.Upkeep.
func (d *Daemon) Compact(ctx context.Context, who string) (control.Compacted, error) {
	done, err := d.compact(ctx, who)
	if errors.Is(err, store.ErrBusy) {
		return control.Compacted{}, control.Conflictf("%v", err)
	}
	return control.Compacted{BytesBefore: done.Before, BytesAfter: done.After, Seconds: done.Took.Seconds(), HeldSeconds: done.Paused.Seconds()}, err
}
