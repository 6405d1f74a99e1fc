package send

import (
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// decide turns a batch's results into entries (docs/contract.md 8).
func (c *appChannel) decide(b *batch, entries []campaign.Entry) []campaign.Entry {
	at := c.now()
	set := c.settings.Load()
	for i := range b.items {
		it, res := &b.items[i], &b.results[i]
		if res.nothingToRecord() {
			continue
		}
		if res.Verdict == VerdictRetry && res.Unwritten && b.probe {
			it.keep()
		} else {
			it.decide(res, set, at)
		}
		it.maybeDelivered = it.before.MaybeDelivered() || res.MaybeDelivered || res.Verdict == VerdictUnknown
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
			code, detail := it.reason(res)
			e.Provider, e.Code, e.Detail = display.Clip(res.ProviderID, 512), display.Clip(code, 64), display.Clip(detail, 500)
		}
		switch it.outcome {
		case campaign.Retrying, campaign.Failed, campaign.Unknown:
			if res.Detail != "" {
				c.failures.Store(e.Sending, MessageFailure{At: at, Line: it.line, Channel: c.name, Outcome: it.outcome, Code: e.Code, Detail: e.Detail})
			}
		}
	}
	return entries
}

// optedOutLate is the reason of an unknown message whose contact opted out before its next attempt.
const optedOutLate = "the contact has opted out, and an earlier attempt may have been delivered"

// slotFull is the reason of a retry whose slot can't take it.
const slotFull = "its slot has no capacity left"

// reason returns what is recorded as the reason of the outcome: the receiver's answer or, where it wasn't asked, our own.
func (it *item) reason(res *Result) (code, detail string) {
	switch {
	case res.Verdict == verdictSlotFull && it.earlier != nil && it.earlier.Detail != "":
		return it.earlier.Code, strings.TrimSuffix(it.earlier.Detail, "; now "+slotFull) + "; now " + slotFull
	case res.Verdict == verdictSlotFull:
		return "", slotFull
	case res.Verdict == verdictSuppressed && it.maybeDelivered:
		return res.Code, optedOutLate
	}
	return res.Code, res.Detail
}

// nothingToRecord reports whether the store keeps the message as it is.
func (r *Result) nothingToRecord() bool {
	return r.Verdict == verdictRefused || r.Verdict == verdictLeft
}

// decide decides the outcome of one message.
func (it *item) decide(res *Result, set *ChannelSettings, at time.Time) {
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
		it.keep()
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

// keep leaves a message pending that isn't the reason why it wasn't sent.
func (it *item) keep() {
	it.outcome, it.recordedAttempts = campaign.Pending, uint8(it.before.Attempts())
}

// count reports the recorded entries to the observer, by outcome.
func (c *appChannel) count(entries []campaign.Entry) {
	if c.observer == nil {
		return
	}
	var counts campaign.Counts
	for i := range entries {
		counts[entries[i].Outcome]++
	}
	for o, n := range counts {
		if n > 0 {
			c.observer.Recorded(c.application, c.name, campaign.Outcome(o), int(n))
		}
	}
}
