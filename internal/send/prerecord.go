package send

import (
	"context"
	"math"
	"time"

	"campaignd/internal/campaign"
)

// setPickUntil sets the time up to which due messages may be picked. It is now, or, when a message
// is due within half the lead, now plus the lead, so that the messages of a dense slot are
// recorded in groups.
func (cs *channelSender) setPickUntil(now time.Time) {
	cs.pickUntil = now.UnixNano()
	lead := int64(cs.limits.lead())
	for _, cur := range cs.cursors {
		if cur.nextAt > 0 && cur.nextAt <= cs.pickUntil+lead/2 {
			cs.pickUntil += lead
			return
		}
	}
}

// commitEntries commits entries. Meanwhile it renders the group and hands over waiting batches.
func (cs *channelSender) commitEntries(ctx context.Context, entries []campaign.Entry) error {
	ctx = context.WithoutCancel(ctx)
	if !recording {
		cs.render()
		return nil
	}
	if cs.attempts.empty() && cs.group.count == 0 {
		return cs.store.Commit(ctx, entries)
	}
	done := make(chan error, 1)
	go func() { done <- cs.store.Commit(ctx, entries) }()
	cs.render()
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		sleep := sleeper{}
		cs.attempts.release(time.Now(), cs.now(), &sleep)
		if wait, ok := sleep.result(); ok {
			timer.Reset(min(wait, maxSleep))
		} else {
			timer.Stop()
		}
		select {
		case err := <-done:
			return err
		case <-timer.C:
		}
	}
}
