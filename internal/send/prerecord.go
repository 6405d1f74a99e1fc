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
func (l *channelSender) lead() time.Duration {
	if l.settings.Load().OnUnknown != RetryUnknown {
		return 0
	}
	return min(minLead+leadSyncs*l.limiter.slowestCommit(), maxLead)
}

// lookAhead sets up to when what is due may be picked: now, or, if something is due
// within half the lead, all of the lead, so that a dense slot is marked in groups.
func (l *channelSender) setPickUntil(now time.Time) {
	l.pickUntil = now.UnixNano()
	lead := int64(l.lead())
	for _, f := range l.cursors {
		if f.nextAt > 0 && f.nextAt <= l.pickUntil+lead/2 {
			l.pickUntil += lead
			return
		}
	}
}

// aheadRoom is how many more messages may be marked ahead of their time: half of
// the lane's room, so that what is due finds the other half, and no more than can go at once.
func (l *channelSender) prerecordLimit() int {
	_, held := l.inQueue(l.d.now())
	return min((l.unrecordedLimit()+1)/2, l.limiter.burst()) - held
}

// inQueue is how many recorded attempts wait for their tokens, and how many for their time.
func (l *channelSender) inQueue(now time.Time) (waiting, held int) {
	for _, p := range l.recordedBatches {
		if p.due > now.UnixNano() {
			held += len(p.items)
		} else {
			waiting += len(p.items)
		}
	}
	return waiting, held
}

// enqueue puts a recorded parcel in its place: by time, first come first.
func (l *channelSender) enqueue(p *batch) {
	l.recordedBatches = append(l.recordedBatches, p)
	for i := len(l.recordedBatches) - 1; i > 0 && l.recordedBatches[i-1].due > p.due; i-- {
		l.recordedBatches[i-1], l.recordedBatches[i] = l.recordedBatches[i], l.recordedBatches[i-1]
	}
}

// handOut gives recorded attempts to the workers as their time and tokens come.
func (l *channelSender) handOver(mono, now time.Time, sleep *sleeper) {
	for len(l.recordedBatches) > 0 {
		p := l.recordedBatches[0]
		if open, _ := l.window.open(now); !open {
			l.returnQueued()
			return
		}
		if wait := time.Duration(p.due - now.UnixNano()); wait > maxEarly {
			l.returnQueued()
			return
		} else if wait > 0 {
			sleep.atMost(wait)
			return
		}
		if !l.limiter.allow(mono, len(p.items)) {
			sleep.atMost(l.limiter.wait(mono, len(p.items)))
			return
		}
		l.recordedBatches[0] = nil
		l.recordedBatches = l.recordedBatches[1:]
		l.submit(p)
	}
	l.recordedBatches = l.recordedBatches[:0]
}

func (l *channelSender) submit(p *batch) {
	if l.workers.submit(p, int(l.limit.Load())) {
		l.d.workers.Go(l.work)
	}
}

// giveBackQueued has the messages that wait for a token or their time be pending again.
func (l *channelSender) returnQueued() {
	for _, p := range l.recordedBatches {
		for i := range p.items {
			if p.results[i].Verdict == 0 {
				p.results[i].Verdict = verdictReturned
			}
		}
		l.submit(p)
	}
	clear(l.recordedBatches)
	l.recordedBatches = l.recordedBatches[:0]
}

// record has entries committed. Meanwhile the group is rendered, and what waits in
// the queue goes out.
func (l *channelSender) commitEntries(ctx context.Context, entries []campaign.Entry) error {
	ctx = context.WithoutCancel(ctx)
	if !recording {
		l.render()
		return nil
	}
	if len(l.recordedBatches)+l.group.count == 0 {
		return l.d.store.Commit(ctx, entries)
	}
	done := make(chan error, 1)
	go func() { done <- l.d.store.Commit(ctx, entries) }()
	l.render()
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		sleep := sleeper{}
		l.handOver(time.Now(), l.d.now(), &sleep)
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
