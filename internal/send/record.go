package send

import (
	"context"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// linger is how long a group may wait for more to join it while more are sure to come.
const linger = time.Millisecond

// recorder gathers results and writes them into the books in groups, while the
// workers go on sending. It is the only one to write results of its lane.
func (l *lane) recorder() {
	defer close(l.recorded)
	var parcels []*parcel
	var entries []campaign.Entry
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for first := range l.results {
		parcels = append(parcels[:0], first)
		parcels = l.gather(parcels, timer)
		entries = entries[:0]
		for _, p := range parcels {
			entries = l.decide(p, entries)
		}
		failpoint.At(failpoint.ResultsDecided)
		if l.d.persist("record results", func() error {
			return l.d.book.Commit(context.WithoutCancel(l.d.sendCtx), entries)
		}) {
			l.count(entries)
		}
		failpoint.At(failpoint.ResultsCommitted)
		clear(entries)
		l.post(parcels)
		clear(parcels)
	}
}

// gather adds the results that are there, and waits a moment for those that
// are about to come: a group of half of what is on its way is worth it.
func (l *lane) gather(parcels []*parcel, timer *time.Timer) []*parcel {
	n := len(parcels[0].items)
	want := int(min(l.unrecorded.Load(), int64(l.room())) / 2)
	waiting := false
	for n < want {
		select {
		case p, ok := <-l.results:
			if !ok {
				return parcels
			}
			parcels = append(parcels, p)
			n += len(p.items)
			continue
		default:
		}
		if !waiting {
			if l.batch() > 1 {
				return parcels
			}
			waiting = true
			timer.Reset(linger)
		}
		select {
		case p, ok := <-l.results:
			if !ok {
				return parcels
			}
			parcels = append(parcels, p)
			n += len(p.items)
		case <-timer.C:
			return parcels
		}
	}
	return parcels
}

// decide turns a parcel's answers into entries (SPEC 8).
func (l *lane) decide(p *parcel, entries []campaign.Entry) []campaign.Entry {
	at := l.d.now()
	set := l.settings.Load()
	for i := range p.items {
		it, res := &p.items[i], &p.results[i]
		if res.Verdict == verdictRefused {
			continue
		}
		l.judge(it, res, set, at)
		if o := it.feed.run.closingAs(); o != campaign.Pending && !it.outcome.Final() {
			it.outcome, it.nextAt = o, time.Time{}
		}
		e := campaign.Entry{Sending: it.feed.run.id, Row: it.row, Message: it.message,
			Outcome: it.outcome, Attempts: it.counted, At: at, NextAt: it.nextAt}
		if it.outcome != campaign.Pending {
			e.Provider, e.Code, e.Detail = clip(res.ProviderID, 512), clip(res.Code, 64), clip(res.Detail, 500)
		}
		entries = append(entries, e)
		if res.Suppress && res.Verdict == VerdictPermanent && l.d.optedOut != nil {
			if err := l.d.optedOut(l.id, l.name, p.msgs[i].ContactCode); err != nil {
				l.d.log.Error("cannot add an opt-out to the list", "application", l.id, "channel", l.name, "error", err)
			}
		}
	}
	return entries
}

// judge decides what becomes of one message.
func (l *lane) judge(it *item, res *Result, set *Lane, at time.Time) {
	it.counted = it.attempts
	again := func() {
		it.outcome = campaign.Retrying
		it.nextAt = at.Add(delay(int(it.attempts), set.RetryBase, set.RetryMax, res.RetryAfter))
	}
	last := int(it.attempts) >= set.MaxAttempts
	switch res.Verdict {
	case VerdictSent:
		it.outcome = campaign.Sent
	case VerdictPermanent:
		it.outcome = campaign.Failed
	case VerdictHold, verdictBack:
		// Nothing was attempted that this message could answer for.
		it.outcome, it.counted = campaign.Pending, it.attempts-1
	case VerdictRetry:
		switch {
		case res.SlowDown:
			// The provider's throttle is not the contact's failure (PITFALLS 24).
			again()
			it.counted = it.attempts - 1
		case last:
			it.outcome = campaign.Failed
		default:
			again()
		}
	default:
		if set.OnUnknown == RetryUnknown && !last {
			again()
		} else {
			it.outcome = campaign.Unknown
		}
	}
}

// clip cuts what a provider sent to what is worth keeping.
func clip(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// count tells the observer of what was recorded, each outcome once.
func (l *lane) count(entries []campaign.Entry) {
	if l.d.observer == nil {
		return
	}
	var counts campaign.Counts
	for i := range entries {
		counts[entries[i].Outcome]++
	}
	for o, n := range counts {
		if n > 0 {
			l.d.observer.Recorded(l.id, l.name, campaign.Outcome(o), int(n))
		}
	}
}
