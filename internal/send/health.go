package send

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"

	"campaignd/internal/campaign"
)

// channelHealth learns from answers what they say about the channel, the sending and the contact.
type channelHealth struct {
	*appChannel
	runs    *runs
	breaker *circuitBreaker
	limiter *rateLimiter
}

// react draws the conclusions that can't wait until the results are recorded: about the
// channel (breaker, rate), the sending (hold) and the contact (opt-out). decideOne draws
// those about the message.
func (h *channelHealth) react(b *batch) {
	now, set := time.Now(), h.settings.Load()
	b.probe = h.breaker.isProbing()
	var delivered *sendingCursor // of the result before, if that was VerdictSent
	for i := range b.results {
		res, cur := &b.results[i], b.items[i].cursor
		if res.Verdict == VerdictSent && cur == delivered {
			continue // the same conclusions
		}
		delivered = nil
		switch res.Verdict {
		case verdictReturned, verdictRefused, verdictSuppressed, verdictSlotFull, verdictLeft, verdictLost, verdictDeadly:
			h.breaker.returned()
			continue
		case VerdictSent:
			h.succeeded()
			cur.refusals.reset()
			delivered = cur
		case VerdictPermanent:
			h.succeeded()
			h.optOut(&b.msgs[i], res)
			if n, said := cur.refusals.add(res); n >= set.RefusalsInARow {
				h.runs.hold(cur.run, fmt.Sprintf("%d equal refusals in a row: %s; fix the cause and resume, then \"resend --failed\" sends the refused ones again",
					set.RefusalsInARow, quoted(describe(res), said)), 0) // n is more if answers come at once
				cur.refusals.reset()
			}
		case VerdictBadRecipient, VerdictRecipientBusy:
			h.succeeded()
			h.optOut(&b.msgs[i], res)
		case VerdictRetry, VerdictUnknown, VerdictUnreachable, VerdictDeferred:
			if res.Verdict == VerdictDeferred && b.items[i].before.Outcome() == campaign.Retrying && !h.breaker.blocksOthers() {
				break // the message itself may be the reason
			}
			if h.breaker.failed(now, res, max(10, set.Concurrency), set.RetryBase, set.RetryMax) {
				h.inTrouble(res)
			}
		case VerdictNoEndpoint:
			h.breaker.answered()
			if h.breaker.missing(now, describe(res)) {
				h.inTrouble(res)
			}
		case VerdictThrottled:
			h.throttled(now, res)
		case VerdictHold:
			if res.Hold == HoldSending {
				h.runs.hold(cur.run, quoted(res.Detail, res.Said), cmp.Or(res.RetryAfter, h.retryHold))
				h.succeeded()
			} else {
				h.holdChannel(now, res)
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

// quoted adds what the receiver said.
func quoted(text, said string) string {
	if said == "" {
		return text
	}
	return fmt.Sprintf("%s (it says %q)", text, said)
}

func (h *channelHealth) succeeded() {
	if h.breaker.succeeded() {
		h.log.Info("the channel works again", "application", h.application, "channel", h.name)
	}
}

func (h *channelHealth) inTrouble(res *Result) {
	h.log.Warn("channel in trouble: trying one message at a time until one gets through",
		"application", h.application, "channel", h.name, "reason", quoted(describe(res), res.Said))
}

// throttled stops the channel for as long as its receiver asks, and halves its rate once.
func (h *channelHealth) throttled(now time.Time, res *Result) {
	fresh, until := h.breaker.throttle(now, quoted(cmp.Or(res.Detail, res.Code, "the receiver throttles"), res.Said), res.RetryAfter)
	limit := h.limiter.throttled(now, until, fresh)
	if fresh {
		h.log.Warn("channel throttled: it waits, and its rate is halved and recovers afterwards",
			"application", h.application, "channel", h.name, "reason", quoted(describe(res), res.Said), "rate", limit)
	}
}

// holdChannel holds the channel until a probe succeeds.
func (h *channelHealth) holdChannel(now time.Time, res *Result) {
	again := cmp.Or(res.RetryAfter, h.retryHold)
	if h.breaker.hold(now, res, again) {
		message := "channel held: fix the cause, then run campaignd resume --channel, or wait for the next try"
		if res.OwnRule {
			message = "channel held by a limit of its configuration; it continues by itself"
		}
		h.log.Warn(message, "application", h.application, "channel", h.name, "reason", quoted(res.Detail, res.Said), "next", again.String())
	}
}

// refusals counts a sending's equal permanent refusals on a channel, in order of answers.
type refusals struct {
	mu           sync.Mutex // guards the fields below
	code, detail string
	said         []string // the words that all of them have in common
	count        int
}

// add counts a refusal. It returns how many equal ones came in a row, and what the receiver said to all of them.
func (r *refusals) add(res *Result) (count int, said string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.code != res.Code || r.detail != res.Detail {
		r.code, r.detail, r.count = res.Code, res.Detail, 0
	}
	if words := strings.Fields(res.Said); r.count == 0 {
		r.said = words
	} else {
		r.said = common(r.said, words)
	}
	r.count++
	return r.count, strings.Join(r.said, " ")
}

// omitted stands for words that differ from refusal to refusal: ids, or parts of the message.
const omitted = "…"

// common returns the words that two texts have at the same places, with omitted for the others.
func common(a, b []string) []string {
	var words []string
	for i := range max(len(a), len(b)) {
		switch {
		case i < len(a) && i < len(b) && a[i] == b[i]:
			words = append(words, a[i])
		case len(words) == 0 || words[len(words)-1] != omitted:
			words = append(words, omitted)
		}
	}
	if len(words) == 1 && words[0] == omitted {
		return nil
	}
	return words
}

func (r *refusals) reset() {
	r.mu.Lock()
	r.count = 0
	r.mu.Unlock()
}
