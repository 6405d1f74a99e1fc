package send

import (
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/failpoint"
)

// decideResults decides the outcomes of the results that have arrived. They stay in cs.results until
// they are recorded.
func (cs *channelSender) decideResults() {
	decided := len(cs.results)
	cs.results = cs.deliverer.completed.take(cs.results)
	for _, b := range cs.results[decided:] {
		cs.outcomes = cs.decide(b, cs.outcomes)
	}
	if len(cs.results) > 0 {
		failpoint.At(failpoint.ResultsDecided)
	}
}

// recorded applies the results in memory after they are on disk.
func (cs *channelSender) recorded() {
	if len(cs.results) == 0 {
		return
	}
	failpoint.At(failpoint.ResultsCommitted)
	cs.count(cs.outcomes)
	cs.releaseResults()
}

// releaseResults applies the results to their cursors and forgets them.
func (cs *channelSender) releaseResults() {
	for _, b := range cs.results {
		cs.applyResults(b)
	}
	clear(cs.results)
	clear(cs.outcomes)
	cs.results, cs.outcomes = cs.results[:0], cs.outcomes[:0]
}

// resultCount returns the number of messages whose results wait for their commit, without the completed queue.
func (cs *channelSender) resultCount() int {
	n := 0
	for _, b := range cs.results {
		n += len(b.items)
	}
	return n
}

// decide turns a batch's results into entries (docs/contract.md 8).
func (cs *channelSender) decide(b *batch, entries []campaign.Entry) []campaign.Entry {
	at := cs.now()
	set := cs.settings.Load()
	for i := range b.items {
		it, res := &b.items[i], &b.results[i]
		if res.nothingToRecord() {
			continue
		}
		cs.decideOne(it, res, set, at)
		it.maybeDelivered = it.before.MaybeDelivered() || res.MaybeDelivered || res.Verdict == VerdictUnknown
		if o := it.cursor.run.closingAs(); o != campaign.Pending && !it.outcome.Final() {
			it.outcome, it.nextAt = o, 0
		}
		if it.maybeDelivered {
			it.outcome = it.outcome.IfMaybeDelivered()
		}
		entries = append(entries, campaign.Entry{})
		e := &entries[len(entries)-1]
		e.Sending, e.Row, e.Message, e.Outcome, e.Attempts, e.At = it.cursor.run.id, it.row, it.message, it.outcome, it.recordedAttempts, at
		e.MaybeDelivered, e.Seen = it.maybeDelivered, it.sliced && res.seen()
		if it.outcome == campaign.Retrying {
			e.NextAt = time.Unix(0, it.nextAt).UTC()
		}
		if it.outcome != campaign.Pending {
			e.Provider, e.Code, e.Detail = display.Clip(res.ProviderID, 512), display.Clip(res.Code, 64), display.Clip(res.Detail, 500)
		}
		switch it.outcome {
		case campaign.Retrying, campaign.Failed, campaign.Unknown:
			if res.Detail != "" {
				cs.failures.note(e.Sending, MessageFailure{At: at, Line: it.line, Channel: cs.name, Outcome: it.outcome, Code: e.Code, Detail: e.Detail})
			}
		}
	}
	return entries
}

// nothingToRecord reports whether the store keeps the message as it is.
func (r *Result) nothingToRecord() bool {
	return r.Verdict == verdictRefused || r.Verdict == verdictLeft
}

// decideOne decides the outcome of one message.
func (cs *channelSender) decideOne(it *item, res *Result, set *ChannelSettings, at time.Time) {
	it.recordedAttempts = it.attempts
	again := func() {
		it.outcome = campaign.Retrying
		it.nextAt = at.Add(delay(int(it.attempts), set.RetryBase, set.RetryMax, res.RetryAfter)).UnixNano()
		it.cursor.noteFailure(describe(res), at)
	}
	last := int(it.attempts) >= set.MaxAttempts
	switch res.Verdict {
	case VerdictSent:
		it.outcome = campaign.Sent
	case VerdictPermanent, VerdictBadRecipient, VerdictNoEndpoint:
		it.outcome = campaign.Failed
	case VerdictRecipientBusy, VerdictDeferred:
		it.outcome = campaign.Retrying
		it.nextAt = at.Add(recipientDelay(int(it.attempts), res.RetryAfter)).UnixNano()
		it.cursor.noteFailure(describe(res), at)
	case verdictReturned, verdictSuppressed, verdictSlotFull:
		it.outcome, it.recordedAttempts = it.outcomeAtHandOver(res.Verdict), uint8(it.before.Attempts())
	case VerdictHold, VerdictUnreachable, VerdictThrottled:
		// The message isn't the reason.
		it.outcome, it.recordedAttempts = campaign.Pending, uint8(it.before.Attempts())
	case VerdictRetry:
		switch {
		case last:
			it.outcome = campaign.Failed
		default:
			again()
		}
	default:
		if set.OnUnknown == RetryUnknown && !last && res.Verdict != verdictDeadly {
			again()
		} else {
			it.outcome = campaign.Unknown
		}
	}
}

// count reports the recorded entries to the observer, by outcome.
func (cs *channelSender) count(entries []campaign.Entry) {
	if cs.observer == nil {
		return
	}
	var counts campaign.Counts
	for i := range entries {
		counts[entries[i].Outcome]++
	}
	for o, n := range counts {
		if n > 0 {
			cs.observer.Recorded(cs.application, cs.name, campaign.Outcome(o), int(n))
		}
	}
}
