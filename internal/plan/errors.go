package plan

import (
	"errors"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// ErrTooManyMessages is returned when one recipient's messages exceed the whole
// capacity of a slot, so that the sending never fits (docs/contract.md 7).
var ErrTooManyMessages = errors.New("a recipient's messages don't fit into a slot")

// ErrUnknownCondition is returned for a slicing condition without a rule.
var ErrUnknownCondition = errors.New("unknown slicing condition")

// NoRoom is returned when a sending doesn't fit and is canceled (docs/contract.md 7).
type NoRoom struct {
	Request Request
	Room    uint32 // recipients that fit under the condition, fewer than requested
	Closed  bool   // T is outside the sending windows, or they open or close within T's slot
}

// Error states how many recipients there are and how many fit.
func (e *NoRoom) Error() string {
	r := e.Request
	return fmt.Sprintf("no room: %s, room for %s %s", recipientsOfMessages(r.Recipients, r.Messages), display.Number(e.Room), e.where())
}

// where describes the slots that the condition could have used.
func (e *NoRoom) where() string {
	until := e.Request.Until.UTC().Format(time.RFC3339)
	switch e.Request.Condition {
	case campaign.ImmediateConsecutiveSlots:
		from := e.Request.T.UTC().Format(time.RFC3339)
		if e.Closed {
			return fmt.Sprintf("in consecutive slots from %s, whose slot is not completely within the sending windows", from)
		}
		return fmt.Sprintf("in consecutive slots from %s", from)
	case campaign.DeferredConsecutiveSlots:
		return fmt.Sprintf("in any run of consecutive slots before %s", until)
	default: // fragmentedSlots
		return fmt.Sprintf("before %s", until)
	}
}

// recipientsOfMessages formats counts: "120 recipients of 2 messages".
func recipientsOfMessages(recipients uint32, messages int) string {
	return display.Amount(recipients, "recipient") + " of " + display.Amount(messages, "message")
}
