package send

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"campaignd/internal/campaign"
)

// react draws the conclusions that can't wait until the results are recorded: about the
// channel (breaker, rate), the sending (hold) and the contact (opt-out). decideOne draws
// those about the message.
func (cs *channelSender) react(b *batch) {
	now, set := time.Now(), cs.settings.Load()
	var delivered *sendingCursor // of the result before, if that was VerdictSent
	for i := range b.results {
		res, cur := &b.results[i], b.items[i].cursor
		if res.Verdict == VerdictSent && cur == delivered {
			continue // the same conclusions
		}
		delivered = nil
		switch res.Verdict {
		case verdictReturned, verdictRefused, verdictSuppressed, verdictSlotFull, verdictLeft, verdictLost, verdictDeadly:
			cs.breaker.returned()
			continue
		case VerdictSent:
			cs.succeeded()
			cur.refusals.reset()
			delivered = cur
		case VerdictPermanent:
			cs.succeeded()
			cs.optOut(&b.msgs[i], res)
			if n := cur.refusals.add(res); n >= set.RefusalsInARow {
				cs.d.hold(cur.run, fmt.Sprintf("%d equal refusals in a row: %s; fix the cause and resume, then \"resend --failed\" sends the refused ones again",
					n, describe(res)), 0)
				cur.refusals.reset()
			}
		case VerdictBadRecipient, VerdictRecipientBusy:
			cs.succeeded()
			cs.optOut(&b.msgs[i], res)
		case VerdictRetry, VerdictUnknown, VerdictUnreachable, VerdictDeferred:
			if res.Verdict == VerdictDeferred && b.items[i].before.Outcome() == campaign.Retrying && !cs.breaker.blocksOthers() {
				break // the message itself may be the reason
			}
			if cs.breaker.failed(now, res, max(10, set.Concurrency), set.RetryBase, set.RetryMax) {
				cs.inTrouble(res)
			}
		case VerdictNoEndpoint:
			cs.breaker.answered()
			if cs.breaker.missing(now, describe(res)) {
				cs.inTrouble(res)
			}
		case VerdictThrottled:
			cs.throttled(now, res)
		case VerdictHold:
			if res.Hold == HoldSending {
				cs.d.hold(cur.run, res.Detail, cmp.Or(res.RetryAfter, cs.d.retryHold))
				cs.succeeded()
			} else {
				cs.holdChannel(now, res)
			}
			continue
		}
		cur.run.probe.Store(false)
	}
}

// describe returns a result's code and detail in one line.
func describe(res *Result) string {
	if res.Code == "" || res.Detail == "" {
		return cmp.Or(res.Code, res.Detail)
	}
	return res.Code + ": " + res.Detail
}

func (cs *channelSender) succeeded() {
	if cs.breaker.succeeded() {
		cs.d.log.Info("the channel works again", "application", cs.id, "channel", cs.name)
	}
}

func (cs *channelSender) inTrouble(res *Result) {
	cs.d.log.Warn("channel in trouble: trying one message at a time until one gets through",
		"application", cs.id, "channel", cs.name, "reason", describe(res))
}

// throttled stops the channel for as long as its receiver asks, and halves its rate once.
func (cs *channelSender) throttled(now time.Time, res *Result) {
	fresh, until := cs.breaker.throttle(now, cmp.Or(res.Detail, res.Code, "the receiver throttles"), res.RetryAfter)
	limit := cs.limiter.throttled(now, until, fresh)
	if fresh {
		cs.d.log.Warn("channel throttled: it waits, and its rate is halved and recovers afterwards",
			"application", cs.id, "channel", cs.name, "reason", describe(res), "rate", limit)
	}
}

// holdChannel holds the channel until a probe succeeds.
func (cs *channelSender) holdChannel(now time.Time, res *Result) {
	again := cmp.Or(res.RetryAfter, cs.d.retryHold)
	if cs.breaker.hold(now, res, again) {
		cs.d.log.Warn("channel held: fix the cause, then resume a sending of it or wait for the next try",
			"application", cs.id, "channel", cs.name, "reason", res.Detail, "next", again)
	}
}

// optOut records that the contact opted out, if the answer says so.
func (cs *channelSender) optOut(m *Message, res *Result) {
	if !res.OptOut || cs.d.optedOut == nil {
		return
	}
	if err := cs.d.optedOut(cs.id, cs.name, m); err != nil {
		cs.d.log.Error("cannot add an opt-out to the list", "application", cs.id, "channel", cs.name, "error", err)
	}
}

// refusals counts a sending's equal permanent refusals on a channel, in order of answers.
type refusals struct {
	mu           sync.Mutex // guards the fields below
	code, detail string
	count        int
}

// add counts a refusal and returns how many equal ones came in a row.
func (r *refusals) add(res *Result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.code != res.Code || r.detail != res.Detail {
		r.code, r.detail, r.count = res.Code, res.Detail, 0
	}
	r.count++
	return r.count
}

func (r *refusals) reset() {
	r.mu.Lock()
	r.count = 0
	r.mu.Unlock()
}
