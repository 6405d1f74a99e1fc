package send

import "time"

// Verdict says what an attempt's result means (docs/contract.md 8): about the message, its
// recipient, the connection, the channel or the account. A driver only classifies; what
// follows from a verdict is decided in this package. There is no default: a driver that
// can't tell whether the message was sent returns VerdictUnknown. The numbers travel between machines (package
// relay): never renumber.
//
// "Counted" means that the attempt counts towards max_attempts.
type Verdict uint8

// The verdicts.
const (
	_ Verdict = iota

	// VerdictSent: the receiver accepted the message.
	VerdictSent

	// VerdictRetry: this message failed and may succeed later, e.g. a webhook's 500. It is
	// counted and backs off from retry_base to retry_max, not before RetryAfter. Set
	// MaybeDelivered where a proxy answered for an application that may have accepted it, and
	// Unwritten where the message wasn't written to its end.
	VerdictRetry

	// VerdictPermanent: the receiver refused the message for good and named no recipient,
	// e.g. a webhook's 400 or SMTP 554 5.6.0. The message fails. refusals_in_a_row equal
	// ones (same Code and Detail) without a success hold the sending, so Code and Detail
	// must not vary from message to message. Set OptOut if the contact wants no more.
	VerdictPermanent

	// VerdictHold: the receiver refused the account, the sender or the sending, and would
	// refuse its other messages as well: bad credentials, a paused template, webhook 401,
	// 403, 405, 407 and 415, SMTP 5.4.5, WhatsApp 33 and 131037. The message stays pending
	// and isn't counted. Hold says what to hold, RetryAfter when to try again.
	VerdictHold

	// VerdictUnknown: the request was written, at least in part, and no answer says whether
	// the message was accepted: a timeout, a connection cut, an unreadable answer. It is
	// counted and always implies MaybeDelivered; on_unknown decides whether it is resent.
	VerdictUnknown

	// VerdictBadRecipient: the receiver refused the message for good because of its
	// recipient: SMTP 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10 and 5.2.x, WhatsApp 131021, 131026,
	// 130472, 131049 and 131050. The message fails, and the refusal never counts towards
	// refusals_in_a_row. Set OptOut if the contact wants no more (131050).
	VerdictBadRecipient

	// VerdictRecipientBusy: this message can't be taken now, others can: an SMTP 4yz that names
	// the recipient (4.1.x, 4.2.x, greylisting) or follows RCPT, WhatsApp 131056. The message
	// is tried again after 1m, 5m, 15m, then every 30m, not before RetryAfter, until it
	// expires; max_attempts and retry_max don't limit it.
	VerdictRecipientBusy

	// VerdictUnreachable: the attempt certainly never reached the receiver's application: no
	// name, no connection, no TLS handshake, a 421 or 4yz up to SMTP's MAIL, or a request of
	// which nothing was written. The message stays pending and isn't counted; the channel is in
	// trouble and probes with one message at a time.
	VerdictUnreachable

	// VerdictThrottled: the receiver throttles the account: webhook 429, WhatsApp 4, 80007
	// and 130429, SMTP 4yz with 4.3.x, 4.4.x, 4.5.x or 4.7.x, or without an enhanced code
	// but with words of throttling. The message stays pending and isn't counted. The whole
	// channel waits for RetryAfter (0: a back-off), and its rate is halved once.
	VerdictThrottled

	// VerdictNoEndpoint: the receiver answered that nothing is at the channel's address:
	// webhook 404 and 410. The message fails. The third in a row over all sendings puts the
	// channel in trouble, and probes follow, each with another message. When a probe is
	// accepted, the refusals belonged to their messages.
	VerdictNoEndpoint

	// VerdictDeferred: the receiver took the recipient and then deferred the message without a
	// reason that says whom it concerns: an SMTP 4yz to DATA or to the whole message. The
	// message is tried again as with VerdictRecipientBusy, but the answer counts as a failure
	// of the channel: a receiver that defers every message is in trouble.
	VerdictDeferred
)

// Valid reports whether a driver may return v.
func (v Verdict) Valid() bool { return v >= VerdictSent && v <= VerdictDeferred }

// Scope says what a VerdictHold holds.
type Scope uint8

// The scopes of a hold.
const (
	HoldSending Scope = iota + 1 // e.g. a paused template: other sendings may go out
	HoldChannel                  // e.g. bad credentials
)

// Result is a channel's typed answer for one message.
type Result struct {
	Verdict    Verdict
	ProviderID string        // the provider's id of the message, with VerdictSent
	Code       string        // the provider's code, e.g. an HTTP status
	Detail     string        // for a person: what happened and what to do; no contact data, no secret
	Said       string        // what the receiver said, for reasons of waits: one short line without contact data; Detail doesn't repeat it
	RetryAfter time.Duration // how long the receiver asks to wait; 0 leaves it to the back-off (VerdictHold: to retry_hold)
	Hold       Scope         // with VerdictHold
	OwnRule    bool          // with HoldChannel: a rule of ours holds it (daily_contacts), and RetryAfter is when it ends; that time doesn't count towards max_lateness
	OptOut     bool          // with VerdictPermanent and VerdictBadRecipient: the contact opted out of this channel

	// MaybeDelivered reports that the receiver may have delivered the message although the
	// verdict isn't VerdictSent: the request was written, and the answer doesn't exclude it
	// (a webhook's 502 or 504). VerdictUnknown implies it. Such a message never ends as canceled, expired or
	// suppressed, but as unknown.
	MaybeDelivered bool

	// Unwritten reports, with VerdictRetry, that the message was not written to its end, so that the
	// receiver can't have it: the connection was cut off before. The third in a row puts the channel in
	// trouble, and a probe isn't counted.
	Unwritten bool
}
