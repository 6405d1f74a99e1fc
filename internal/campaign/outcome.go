package campaign

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Outcome is the result of one message (docs/contract.md 8), or its progress.
type Outcome uint8

// The first three are not final; the others are. The numbers are stored: never renumber.
const (
	Pending    Outcome = 0 // not attempted yet, or to be attempted again
	InFlight   Outcome = 1 // an attempt is recorded, its result isn't
	Retrying   Outcome = 2 // waits for its next attempt
	Sent       Outcome = 3
	Failed     Outcome = 4
	Unknown    Outcome = 5 // nobody knows whether it was sent
	Expired    Outcome = 6
	Canceled   Outcome = 7
	Suppressed Outcome = 8
	Skipped    Outcome = 9 // a message before it failed for good
	Duplicate  Outcome = 10
	Rejected   Outcome = 11
	outcomes           = 12
)

var outcomeNames = [outcomes]string{"pending", "inFlight", "retrying", "sent", "failed", "unknown",
	"expired", "canceled", "suppressed", "skipped", "duplicate", "rejected"}

// FinalOutcomes lists the outcomes of the contract in its order.
var FinalOutcomes = []Outcome{Sent, Failed, Unknown, Expired, Canceled, Suppressed, Skipped, Duplicate, Rejected}

// String returns the outcome's name in files and JSON.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}

// ParseOutcome is the inverse of String.
func ParseOutcome(s string) (Outcome, error) {
	for i, n := range outcomeNames {
		if n == s {
			return Outcome(i), nil
		}
	}
	return 0, fmt.Errorf("unknown outcome %q", s)
}

// Final reports whether the outcome is final, unless a person requests a resend.
func (o Outcome) Final() bool { return o >= Sent }

// IfMaybeDelivered returns the outcome of a message of which an attempt may have been
// delivered: Unknown in place of a final outcome that denies it (docs/contract.md 8).
func (o Outcome) IfMaybeDelivered() Outcome {
	if o.Final() && o != Sent {
		return Unknown
	}
	return o
}

// MessageStatus is one message's entry in a status array: its outcome in the low four
// bits, its attempts so far (at most MaxAttempts) in the high four. The low bits also
// record whether an earlier attempt may have been delivered.
type MessageStatus uint8

// maybeDelivered is added to Pending, InFlight and Retrying when an earlier attempt may
// have been delivered. The numbers are stored: never renumber.
const maybeDelivered = 12

// MaxAttempts is the most attempts a MessageStatus can count.
const MaxAttempts = 15

// NewMessageStatus packs an outcome and a number of attempts.
func NewMessageStatus(o Outcome, attempts int) MessageStatus {
	return MessageStatus(uint8(o) | uint8(min(attempts, MaxAttempts))<<4)
}

// Outcome returns the status's outcome.
func (m MessageStatus) Outcome() Outcome {
	if m.MaybeDelivered() {
		return Outcome(m&15) - maybeDelivered
	}
	return Outcome(m & 15)
}

// MaybeDelivered reports whether an attempt of a message without a final outcome may have
// reached the receiver (docs/contract.md 8). It doesn't count the attempt in flight.
func (m MessageStatus) MaybeDelivered() bool { return m&15-maybeDelivered < MessageStatus(Sent) }

// WithMaybeDelivered returns m for a message of which an attempt may have reached the
// receiver. A final outcome stays unchanged.
func (m MessageStatus) WithMaybeDelivered() MessageStatus {
	if m&15 < MessageStatus(Sent) {
		return m + maybeDelivered
	}
	return m
}

// Attempts returns the number of attempts.
func (m MessageStatus) Attempts() int { return int(m >> 4) }

// After returns m as it becomes when an earlier message of its recipient has ended as o: after
// Sent it stays and may go next. After anything else a message that neither has ended nor is in flight
// ends too: as Skipped after a failure, otherwise as o, or as Unknown if it may have been delivered.
func (m MessageStatus) After(o Outcome) MessageStatus {
	if was := m.Outcome(); !o.Final() || o == Sent || was.Final() || was == InFlight {
		return m
	}
	if o == Failed || o == Unknown {
		o = Skipped
	}
	if m.MaybeDelivered() {
		o = o.IfMaybeDelivered()
	}
	return NewMessageStatus(o, m.Attempts())
}

// FirstOpen returns the index and the outcome of a recipient's first message without a final outcome,
// or -1. It is the one that goes next, if it is Pending: messages are sent in order
// (docs/contract.md 8). S is MessageStatus, or a byte that holds one.
func FirstOpen[S ~uint8](statuses []S) (int, Outcome) {
	for i, s := range statuses {
		if o := MessageStatus(s).Outcome(); !o.Final() {
			return i, o
		}
	}
	return -1, 0
}

// Counts counts a sending's messages by outcome. Duplicate and Rejected stay 0 here:
// refused rows never became messages.
type Counts [outcomes]uint64

// Final returns the number of messages with a final outcome. A sending is complete
// when it equals Planned.
func (c Counts) Final() uint64 {
	var n uint64
	for o := Sent; o < outcomes; o++ {
		n += c[o]
	}
	return n
}

// Percent returns done of all as a percentage with one decimal. It rounds down, so that 100 means
// all. Nothing of nothing is 0.
func Percent(done, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return math.Floor(1000*min(float64(done)/float64(all), 1)) / 10
}

// Entry is one recorded change: an attempt about to be made (Outcome InFlight), a
// result, or a move between outcomes.
type Entry struct {
	Sending  ID
	Row      uint32 // row number of the recipient, from 0
	Message  uint8  // 1 to MaxMessages
	Outcome  Outcome
	Attempts uint8     // made so far, this one included
	At       time.Time // when the change happened, UTC
	NextAt   time.Time // Retrying: not before
	Provider string    // the provider's id for the message
	Code     string    // the provider's code for a failure
	Detail   string    // for a person; no contact data
	HandOut  uint64    // InFlight: number of the batch that went to workers on other machines; 0: none, or it doesn't matter

	// MaybeDelivered says of a result that this attempt may have reached the receiver: a
	// timeout after the request was written, a crash. The store remembers it for the
	// message until its final outcome. Where the store returns an entry, it says that any
	// attempt so far may have.
	MaybeDelivered bool

	// Seen says of a result that the receiver may have seen the attempt, so that it counts for
	// the slot that holds At (docs/contract.md 7), whatever became of the message.
	Seen bool
}

// Refusal is a row that was not accepted: Outcome is Rejected or Duplicate.
type Refusal struct {
	Line        uint32
	Outcome     Outcome
	ContactCode string
	ChannelType string
	Column      string // the CSV column at fault, "" if it is the row
	Position    int    // of the fault on Line, in characters from 1; 0 if unknown. It is for messages and not stored
	Reason      string
	Code        string // Problem.Code of the reason. It is for messages and not stored
	Reference   string // contact.reference of the layout for this row; "" if it has none or can't be rendered
}

// ErrNotActive is the error that a Refused unwraps to.
var ErrNotActive = errors.New("not active")

// Refused is returned when some attempts were not recorded: their sending is not
// active, or the message must no longer be sent. They must not be made.
type Refused struct {
	Entries []int // indexes into the entries to commit; the others are recorded
}

// Error returns the number of refused attempts.
func (r *Refused) Error() string {
	return fmt.Sprintf("%d attempts refused: %v", len(r.Entries), ErrNotActive)
}

// Unwrap makes errors.Is(err, ErrNotActive) true.
func (r *Refused) Unwrap() error { return ErrNotActive }
