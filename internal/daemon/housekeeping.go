package daemon

import (
	"context"
	"time"
)

// wakeHouse is the longest that housekeeping sleeps before it looks at the clock and the
// configuration again: the one may be set, the other be reloaded.
const wakeHouse = time.Minute

// keepHouse does the chores at the times that the configuration says, until ctx ends. One that
// fails is logged and done again the next time; the others are done all the same.
func (d *Daemon) keepHouse(ctx context.Context) {
	last := d.now()
	for {
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
		if now := d.now(); next.IsZero() || now.Before(next) {
			last = minTime(last, now)
			continue
		} else {
			last = now
		}
		for _, chore := range d.chores() {
			if err := chore.do(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("housekeeping; it is done again the next time", "chore", chore.name, "err", err)
			}
		}
	}
}

// chore is something that is done now and then.
type chore struct {
	name string
	do   func(context.Context) error
}

func (d *Daemon) chores() []chore {
	return []chore{
		{"files of sendings of which more was told since", d.intake.ReportLate},
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
