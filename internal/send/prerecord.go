package send

import (
	"context"
	"math"
	"time"

	"campaignd/internal/campaign"
)

// An attempt has to be on disk before its message goes out, and a sync takes as
// long as the disk likes. So that a message is not late by that much, its
// attempt is recorded a little ahead of its time; then it waits in the lane's
// queue, and goes out when its time has come, be the next sync under way or not.
// With a crash in between it counts as in flight though it never went out: that is for
// lanes whose unknown messages are resent. Elsewhere a person would have to look.
const (
	minLead    = 40 * time.Millisecond
	leadSyncs  = 4 // so many times what a sync takes: one may be under way, and half the lead must do
	maxLead    = 400 * time.Millisecond
	sameMoment = time.Millisecond // messages due within it go together
	maxEarly   = lookahead        // a clock set back must not keep what is marked
)

// lead is how long before its time a message may be marked; 0: not before it.
func (cs *channelSender) lead() time.Duration {
	if cs.settings.Load().OnUnknown != RetryUnknown {
		return 0
	}
	return min(minLead+leadSyncs*cs.limiter.slowestCommit(), maxLead)
}

// lookAhead sets up to when what is due may be picked: now, or, if something is due
// within half the lead, all of the lead, so that a dense slot is marked in groups.
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

// aheadRoom is how many more messages may be marked ahead of their time: half of
// the lane's room, so that what is due finds the other half, and no more than can go at once.
func (cs *channelSender) prerecordLimit() int {
	_, held := cs.inQueue(cs.d.now())
	return min((cs.unrecordedLimit()+1)/2, cs.limiter.burst()) - held
}

// inQueue is how many recorded attempts wait for their tokens, and how many for their time.
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

// enqueue puts a recorded parcel in its place: by time, first come first.
func (cs *channelSender) enqueue(b *batch) {
	cs.recordedBatches = append(cs.recordedBatches, b)
	for i := len(cs.recordedBatches) - 1; i > 0 && cs.recordedBatches[i-1].due > b.due; i-- {
		cs.recordedBatches[i-1], cs.recordedBatches[i] = cs.recordedBatches[i], cs.recordedBatches[i-1]
	}
}

// handOut gives recorded attempts to the workers as their time and tokens come.
func (cs *channelSender) handOver(mono, now time.Time, sleep *sleeper) {
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
	if cs.workers.submit(b, int(cs.limit.Load())) {
		cs.d.workers.Go(cs.work)
	}
}

// giveBackQueued has the messages that wait for a token or their time be pending again.
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

// record has entries committed. Meanwhile the group is rendered, and what waits in
// the queue goes out.
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
		cs.handOver(time.Now(), cs.d.now(), &sleep)
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
