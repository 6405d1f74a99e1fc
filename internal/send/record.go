package send

import (
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
)

// takeUp decides on the results that have come in. They stay in l.results until
// they are in the books.
func (l *channelSender) decideResults() {
	decided := len(l.results)
	l.results = l.completed.take(l.results)
	for _, p := range l.results[decided:] {
		l.outcomes = l.decide(p, l.outcomes)
	}
	if len(l.results) > 0 {
		failpoint.At(failpoint.ResultsDecided)
	}
}

// recorded books the results in memory after they are on disk.
func (l *channelSender) recorded() {
	if len(l.results) == 0 {
		return
	}
	failpoint.At(failpoint.ResultsCommitted)
	l.count(l.outcomes)
	l.releaseResults()
}

// letGo forgets the results.
func (l *channelSender) releaseResults() {
	for _, p := range l.results {
		l.applyResults(p)
	}
	clear(l.results)
	clear(l.outcomes)
	l.results, l.outcomes = l.results[:0], l.outcomes[:0]
}

// resultCount is how many messages' results wait to be recorded, tray apart.
func (l *channelSender) resultCount() int {
	n := 0
	for _, p := range l.results {
		n += len(p.items)
	}
	return n
}

// decide turns a parcel's answers into entries (SPEC 8).
func (l *channelSender) decide(p *batch, entries []campaign.Entry) []campaign.Entry {
	at := l.d.now()
	set := l.settings.Load()
	for i := range p.items {
		it, res := &p.items[i], &p.results[i]
		if res.Verdict == verdictRefused {
			continue
		}
		l.decideOne(it, res, set, at)
		if o := it.cursor.run.closingAs(); o != campaign.Pending && !it.outcome.Final() {
			it.outcome, it.nextAt = o, time.Time{}
		}
		e := campaign.Entry{Sending: it.cursor.run.id, Row: it.row, Message: it.message,
			Outcome: it.outcome, Attempts: it.recordedAttempts, At: at, NextAt: it.nextAt}
		if it.outcome != campaign.Pending {
			e.Provider, e.Code, e.Detail = clip(res.ProviderID, 512), clip(res.Code, 64), clip(res.Detail, 500)
		}
		entries = append(entries, e)
	}
	return entries
}

// judge decides what becomes of one message.
func (l *channelSender) decideOne(it *item, res *Result, set *ChannelSettings, at time.Time) {
	it.recordedAttempts = it.attempts
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
	case VerdictHold, verdictReturned:
		// Nothing was attempted that this message could answer for.
		it.outcome, it.recordedAttempts = campaign.Pending, it.attempts-1
	case VerdictRetry:
		switch {
		case res.SlowDown:
			// The provider's throttle is not the contact's failure (PITFALLS 24).
			again()
			it.recordedAttempts = it.attempts - 1
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
func (l *channelSender) count(entries []campaign.Entry) {
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
