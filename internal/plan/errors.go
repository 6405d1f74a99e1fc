package plan

import (
	"errors"
	"fmt"
	"time"

	"campaignd/internal/campaign"
)

// ErrTooManyMessages is returned when a recipient's messages are more than a
// slot's whole capacity, so that the sending fits at no time (SPEC 7).
var ErrTooManyMessages = errors.New("a recipient's messages don't fit into a slot")

// NoRoom is returned when a sending doesn't fit: it is canceled (SPEC 7).
type NoRoom struct {
	Request Request
	Room    uint32 // recipients the condition has room for; fewer than the request's
	Closed  bool   // T lies outside the sending windows, or they close or open within T's slot
}

// Error says how many there are and for how many there is room.
func (e *NoRoom) Error() string {
	r := e.Request
	return fmt.Sprintf("no room: %s, room for %d %s", recipientsOfMessages(r.Recipients, r.Messages), e.Room, e.where())
}

// where says which slots the condition could have used.
func (e *NoRoom) where() string {
	until := e.Request.Until.UTC().Format(time.RFC3339)
	switch e.Request.Condition {
	case campaign.ImmediateConsecutiveSlots:
		from := e.Request.T.UTC().Format(time.RFC3339)
		if e.Closed {
			return fmt.Sprintf("in consecutive slots from %s, whose slot isn't wholly inside the sending windows", from)
		}
		return fmt.Sprintf("in consecutive slots from %s", from)
	case campaign.DeferredConsecutiveSlots:
		return fmt.Sprintf("in any run of consecutive slots before %s", until)
	default:
		return fmt.Sprintf("before %s", until)
	}
}

// counted is "120 recipients of 2 messages".
func recipientsOfMessages(recipients uint32, messages int) string {
	plural := func(n int64, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprintf("%d %ss", n, word)
	}
	return plural(int64(recipients), "recipient") + " of " + plural(int64(messages), "message")
}
