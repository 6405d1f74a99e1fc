package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DeliveryState is the progress of a sent message as its provider reports it.
type DeliveryState uint8

// The states in the order in which they replace each other. Receipts arrive late, repeated
// and out of order, and proof that a message arrived is never withdrawn. The numbers are
// stored: never renumber.
const (
	NoReceipt   DeliveryState = 0 // no receipt arrived
	Undelivered DeliveryState = 1 // the provider gave up: "failed"
	Delivered   DeliveryState = 2 // it reached the contact's device; may be left out before Read
	Read        DeliveryState = 3
)

var deliveryNames = [...]string{"", "failed", "delivered", "read"}

// String returns the state's name in files and JSON.
func (d DeliveryState) String() string {
	if int(d) < len(deliveryNames) {
		return deliveryNames[d]
	}
	return fmt.Sprintf("delivery(%d)", uint8(d))
}

// ParseDelivery is the inverse of String; it returns false for an unknown name.
func ParseDelivery(s string) (DeliveryState, bool) {
	i := slices.Index(deliveryNames[:], s)
	return DeliveryState(max(i, 0)), i > 0
}

// Delivery is a provider's receipt for one message that it had accepted.
type Delivery struct {
	Line    uint32 // of the CSV, on which the recipient's row begins
	Message uint8  // 1 to MaxMessages
	State   DeliveryState
	At      time.Time // by the provider's clock, UTC, whole seconds; zero if it gave none
	Code    string    // with Undelivered: the provider's code
	Detail  string    // with Undelivered: for a person; no contact data
}

// DeliveryCounts counts a sending's messages by state; a message that was read no longer counts as delivered.
type DeliveryCounts struct {
	Delivered uint64 `json:"delivered"`
	Read      uint64 `json:"read"`
	Failed    uint64 `json:"failed"`
}

// Of returns the counter of a state, or nil for a state without one.
func (c *DeliveryCounts) Of(d DeliveryState) *uint64 {
	switch d {
	case Delivered:
		return &c.Delivered
	case Read:
		return &c.Read
	case Undelivered:
		return &c.Failed
	}
	return nil
}

// ParseKey is the inverse of Key. ok is false for any other text.
func ParseKey(key string) (id ID, tag string, line uint32, n int, ok bool) {
	parts := strings.Split(key, "-")
	if len(parts) != 5 {
		return "", "", 0, 0, false
	}
	id, tag = ID(parts[0]+"-"+parts[1]), parts[4]
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "%d %d", &line, &n); err != nil || !id.Valid() || n < 1 || n > MaxMessages || Key(id, tag, line, n) != key {
		return "", "", 0, 0, false
	}
	return id, tag, line, n, true
}

// ContactKey appends the form in which opt-outs are compared, so that a contact is found
// however it is written: only the digits of a phone number with "+", spaces, dots, dashes or
// brackets in it, lower case for a contact with an "@". Anything else stays unchanged.
func ContactKey(dst, contact []byte) []byte {
	start := len(dst)
	for _, b := range contact {
		switch {
		case b >= '0' && b <= '9':
			dst = append(dst, b)
		case strings.IndexByte(" +.-()[]", b) >= 0:
		default:
			return addressKey(append(dst[:start], contact...), start)
		}
	}
	if n := len(dst) - start; n < 7 || n > 15 { // no phone number (E.164)
		return append(dst[:start], contact...)
	}
	return dst
}

func addressKey(dst []byte, start int) []byte {
	if !slices.Contains(dst[start:], '@') {
		return dst
	}
	for i := start; i < len(dst); i++ {
		if b := dst[i]; b >= 'A' && b <= 'Z' {
			dst[i] = b + 'a' - 'A'
		}
	}
	return dst
}
