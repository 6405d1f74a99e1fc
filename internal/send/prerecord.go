package send

import (
	"context"
	"math"
	"time"

	"campaignd/internal/campaign"
)

// An attempt must be durable before its message goes out, and a sync takes as long as the disk
// likes. To keep messages on time, an attempt is recorded a little early; then it waits in
// recordedBatches and goes out at its time, even while the next sync is under way. After a crash
// in between, the message counts as in flight although it never went out. So this is done only
// where unknown messages are resent.
const (
	minLead    = 40 * time.Millisecond
	leadSyncs  = 4 // syncs in a lead: one may be under way, and half the lead must suffice
	maxLead    = 400 * time.Millisecond
	sameMoment = time.Millisecond // messages due within it share a batch
	maxEarly   = lookahead        // a clock that was set back must not keep recorded attempts waiting
)

// lead returns how long before its time a message may be recorded; 0 means not before its time.
func (cs *channelSender) lead() time.Duration {
	if cs.settings.Load().OnUnknown != RetryUnknown {
		return 0
	}
	return min(minLead+leadSyncs*cs.limiter.slowestCommit(), maxLead)
}

// setPickUntil sets the time up to which due messages may be picked. It is now, or, when a message
// is due within half the lead, now plus the lead, so that the messages of a dense slot are
// recorded in groups.
func (cs *channelSender) setPickUntil(now time.Time) {
	cs.pickUntil = now.UnixNano()
	lead := int64(cs.lead())
	for _, cur := range cs.cursors {
		if cur.nextAt > 0 && cur.nextAt <= cs.pickUntil+lead/2 {
			cs.pickUntil += lead
			return
		}
	}
}

// prerecordLimit returns how many more messages may be recorded before their time: half of the
// sender's limit, so that due messages find the other half, and no more than may go at once.
func (cs *channelSender) prerecordLimit() int {
	_, held := cs.inQueue(cs.d.now())
	return min((cs.unrecordedLimit()+1)/2, cs.limiter.burst()) - held
}

// inQueue counts the recorded attempts that wait for tokens and those that wait for their time.
func (cs *channelSender) inQueue(now time.Time) (waiting, held int) {
	for _, b := range cs.recordedBatches {
		if b.due > now.UnixNano() {
			held += len(b.items)
		} else {
			waiting += len(b.items)
		}
	}
	return waiting, held
}

// enqueue inserts a recorded batch by time. Batches of the same time keep their order.
func (cs *channelSender) enqueue(b *batch) {
	cs.recordedBatches = append(cs.recordedBatches, b)
	for i := len(cs.recordedBatches) - 1; i > 0 && cs.recordedBatches[i-1].due > b.due; i-- {
		cs.recordedBatches[i-1], cs.recordedBatches[i] = cs.recordedBatches[i], cs.recordedBatches[i-1]
	}
}

// handOver gives recorded attempts to the workers when their time and their tokens have come.
func (cs *channelSender) releaseDue(mono, now time.Time, sleep *sleeper) {
	for len(cs.recordedBatches) > 0 {
		b := cs.recordedBatches[0]
		if open, _ := cs.window.open(now); !open {
			cs.returnQueued()
			return
		}
		if wait := time.Duration(b.due - now.UnixNano()); wait > maxEarly {
			cs.returnQueued()
			return
		} else if wait > 0 {
			sleep.atMost(wait)
			return
		}
		if !cs.limiter.allow(mono, len(b.items)) {
			sleep.atMost(cs.limiter.wait(mono, len(b.items)))
			return
		}
		cs.recordedBatches[0] = nil
		cs.recordedBatches = cs.recordedBatches[1:]
		cs.submit(b)
	}
	cs.recordedBatches = cs.recordedBatches[:0]
}

func (cs *channelSender) submit(b *batch) {
	if b.driver.remote != nil {
		cs.split(b, cs.queue)
		return
	}
	cs.queue(b)
}

func (cs *channelSender) queue(b *batch) {
	if cs.workers.submit(b, int(cs.limit.Load())) {
		cs.d.workers.Go(cs.work)
	}
}

// returnQueued makes the messages pending again that wait for a token or their time.
func (cs *channelSender) returnQueued() {
	for _, b := range cs.recordedBatches {
		for i := range b.items {
			if b.results[i].Verdict == 0 {
				b.results[i].Verdict = verdictReturned
			}
		}
		cs.submit(b)
	}
	clear(cs.recordedBatches)
	cs.recordedBatches = cs.recordedBatches[:0]
}

// commitEntries commits entries. Meanwhile it renders the group and hands over waiting batches.
func (cs *channelSender) commitEntries(ctx context.Context, entries []campaign.Entry) error {
	ctx = context.WithoutCancel(ctx)
	if !recording {
		cs.render()
		return nil
	}
	if len(cs.recordedBatches)+cs.group.count == 0 {
		return cs.d.store.Commit(ctx, entries)
	}
	done := make(chan error, 1)
	go func() { done <- cs.d.store.Commit(ctx, entries) }()
	cs.render()
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		sleep := sleeper{}
		cs.releaseDue(time.Now(), cs.d.now(), &sleep)
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
