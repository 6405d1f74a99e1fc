package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DeliveryState is how far a message that was sent has come, by the word of its provider.
type DeliveryState uint8

// The states in the order in which they take each other's place: they are told late, repeated and
// out of order, and what shows that a message arrived is never taken back. The numbers are
// stored: never renumber.
const (
	NoReceipt   DeliveryState = 0 // nothing was heard of it
	Undelivered DeliveryState = 1 // the provider gave it up: "failed"
	Delivered   DeliveryState = 2 // it reached the contact's device; may be left out before Read
	Read        DeliveryState = 3
)

var deliveryNames = [...]string{"", "failed", "delivered", "read"}

// String is the state's name in files and JSON.
func (d DeliveryState) String() string {
	if int(d) < len(deliveryNames) {
		return deliveryNames[d]
	}
	return fmt.Sprintf("delivery(%d)", uint8(d))
}

// ParseDelivery is the inverse of String; false for what is no name of a state.
func ParseDelivery(s string) (DeliveryState, bool) {
	i := slices.Index(deliveryNames[:], s)
	return DeliveryState(max(i, 0)), i > 0
}

// Delivery is what a provider told of one message after it had taken it.
type Delivery struct {
	Line    uint32 // of the CSV, on which the recipient's row begins
	Message uint8  // 1 to MaxMessages
	State   DeliveryState
	At      time.Time // by the provider's clock, UTC, whole seconds; zero if it gave none
	Code    string    // with Undelivered: the provider's code
	Detail  string    // with Undelivered: for a person; no contact data
}

// DeliveryCounts is how many messages of a sending stand at each state: one that was read is no longer counted as delivered.
type DeliveryCounts struct {
	Delivered uint64 `json:"delivered"`
	Read      uint64 `json:"read"`
	Failed    uint64 `json:"failed"`
}

// Of is the count of a state, nil for one that isn't counted.
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

// ParseKey takes apart what Key made. ok is false for any other text.
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

// ContactKey is the form in which opt-outs know a contact, so that one is found however its
// number or address is written: digits alone for what is a phone number with "+", spaces, dots, dashes or
// brackets in it, small letters for what has an "@". Anything else stays as it is.
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
