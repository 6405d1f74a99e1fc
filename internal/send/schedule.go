package send

import (
	"context"
	"time"
)

// schedule loads sendings that come into the lookahead until ctx ends. Its only timer runs for a
// second at most, and only while something waits for a time of day, because the wall clock may
// jump and timers stop while the machine is suspended.
func (d *Dispatcher) schedule(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var next, failedAt time.Time // of Due; failedAt by the monotonic clock
	ask, failures := true, 0
	for ctx.Err() == nil {
		now := d.now()
		if !failedAt.IsZero() && time.Since(failedAt) >= min(time.Second<<min(failures-1, 6), time.Minute) {
			ask = true
		}
		rested, again := d.runs.tick(now)
		for _, id := range rested {
			d.runs.start(ctx, id) // nothing may be due, but it may expire
		}
		if again || !next.IsZero() && !next.After(now.Add(lookahead)) {
			ask = true
		}
		if ask {
			ids, n, err := d.store.Due(now.Add(lookahead))
			ask = false
			if err != nil {
				failures++
				failedAt = time.Now()
				d.storeFailed("ask what is due", err)
			} else {
				if !failedAt.IsZero() {
					failedAt, failures = time.Time{}, 0
					d.storeRecovered()
				}
				next = n
				for _, id := range ids {
					d.runs.start(ctx, id)
				}
			}
		}
		var tick <-chan time.Time
		if d.runs.waiting() || !next.IsZero() || !failedAt.IsZero() {
			timer.Reset(maxSleep)
			tick = timer.C
		}
		select {
		case <-ctx.Done():
		case <-d.kicks:
			ask = true
		case answer := <-d.pings:
			close(answer)
		case <-tick:
		}
	}
}
