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
	leastLead   = 40 * time.Millisecond
	leadSyncs   = 4 // so many times what a sync takes: one may be under way, and half the lead must do
	farthest    = 400 * time.Millisecond
	sameMoment  = time.Millisecond // messages due within it go together
	longestHold = sight            // a clock set back must not keep what is marked
)

// lead is how long before its time a message may be marked; 0: not before it.
func (l *lane) lead() time.Duration {
	if l.settings.Load().OnUnknown != RetryUnknown {
		return 0
	}
	return min(leastLead+leadSyncs*l.pace.syncTime(), farthest)
}

// lookAhead sets up to when what is due may be picked: now, or, if something is due
// within half the lead, all of the lead, so that a dense slot is marked in groups.
func (l *lane) lookAhead(now time.Time) {
	l.until = now.UnixNano()
	lead := int64(l.lead())
	for _, f := range l.feeds {
		if f.nextAt > 0 && f.nextAt <= l.until+lead/2 {
			l.until += lead
			return
		}
	}
}

// aheadRoom is how many more messages may be marked ahead of their time: half of
// the lane's room, so that what is due finds the other half, and no more than can go at once.
func (l *lane) aheadRoom() int {
	_, held := l.inQueue(l.d.now())
	return min((l.room()+1)/2, l.pace.most()) - held
}

// inQueue is how many recorded attempts wait for their tokens, and how many for their time.
func (l *lane) inQueue(now time.Time) (waiting, held int) {
	for _, p := range l.queued {
		if p.due > now.UnixNano() {
			held += len(p.items)
		} else {
			waiting += len(p.items)
		}
	}
	return waiting, held
}

// enqueue puts a recorded parcel in its place: by time, first come first.
func (l *lane) enqueue(p *parcel) {
	l.queued = append(l.queued, p)
	for i := len(l.queued) - 1; i > 0 && l.queued[i-1].due > p.due; i-- {
		l.queued[i-1], l.queued[i] = l.queued[i], l.queued[i-1]
	}
}

// handOut gives recorded attempts to the workers as their time and tokens come.
func (l *lane) handOut(mono, now time.Time, sleep *sleeper) {
	for len(l.queued) > 0 {
		p := l.queued[0]
		if open, _ := l.door.open(now); !open {
			l.giveBackQueued()
			return
		}
		if wait := time.Duration(p.due - now.UnixNano()); wait > longestHold {
			l.giveBackQueued()
			return
		} else if wait > 0 {
			sleep.atMost(wait)
			return
		}
		if !l.pace.allow(mono, len(p.items)) {
			sleep.atMost(l.pace.wait(mono, len(p.items)))
			return
		}
		l.queued[0] = nil
		l.queued = l.queued[1:]
		l.handTo(p)
	}
	l.queued = l.queued[:0]
}

func (l *lane) handTo(p *parcel) {
	if l.hands.give(p, int(l.limit.Load())) {
		l.d.workers.Go(l.work)
	}
}

// giveBackQueued has the messages that wait for a token or their time be pending again.
func (l *lane) giveBackQueued() {
	for _, p := range l.queued {
		for i := range p.items {
			if p.results[i].Verdict == 0 {
				p.results[i].Verdict = verdictBack
			}
		}
		l.handTo(p)
	}
	clear(l.queued)
	l.queued = l.queued[:0]
}

// record has entries committed. Meanwhile the group is rendered, and what waits in
// the queue goes out.
func (l *lane) record(ctx context.Context, entries []campaign.Entry) error {
	ctx = context.WithoutCancel(ctx)
	if !recording {
		l.render()
		return nil
	}
	if len(l.queued)+l.group.count == 0 {
		return l.d.book.Commit(ctx, entries)
	}
	done := make(chan error, 1)
	go func() { done <- l.d.book.Commit(ctx, entries) }()
	l.render()
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		sleep := sleeper{}
		l.handOut(time.Now(), l.d.now(), &sleep)
		if wait, ok := sleep.result(); ok {
			timer.Reset(min(wait, glance))
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
