// Package receipts is what comes back from providers: delivery receipts, replies and opt-outs. Drivers
// read them from webhooks and pass them to a Receiver. Its own package because drivers and the daemon
// share it.
package receipts

import (
	"context"
	"time"
)

// Delivery is the delivery status of a message.
type Delivery string

// Delivery statuses. They arrive out of order and repeatedly, for days.
const (
	DeliverySent      Delivery = "sent"
	DeliveryFailed    Delivery = "failed"
	DeliveryDelivered Delivery = "delivered" // may be missing before read
	DeliveryRead      Delivery = "read"
)

// Known reports whether d is one of the statuses.
func (d Delivery) Known() bool {
	return d == DeliverySent || d == DeliveryFailed || d == DeliveryDelivered || d == DeliveryRead
}

// Status is a delivery receipt of one message.
type Status struct {
	Account    string // the sending account, as Reporter names it
	ProviderID string // the message, as Result.ProviderID
	Key        string // the message's key, "" if it is missing
	Contact    string // digits; may differ from the contactCode's, "" if it is unknown. Not for logs
	UserID     string // business-scoped user id, "" if it is unknown. Not for logs
	Delivery   Delivery
	At         time.Time // UTC, whole seconds; zero if missing or invalid
	Code       string    // with DeliveryFailed: the provider's code
	Detail     string    // with DeliveryFailed: for people; no contact data
	OptedOut   bool      // the contact has opted out (131050)
}

// Preference is a contact's choice whether to get marketing from an account.
type Preference struct {
	Account string
	Contact string // digits, "" if it is unknown. Not for logs
	UserID  string // business-scoped user id, "" if it is unknown. Not for logs
	Stop    bool   // false: the contact wants marketing again; that alone removes no opt-out
}

// Move says that a contact has another number or user id now. Fields may be empty. Not for logs.
type Move struct {
	Contact, UserID       string
	NewContact, NewUserID string
}

// TemplateChange is a change of a message template's status.
type TemplateChange struct {
	Account        string // that has the template
	Name, Language string
	Status         string // in the provider's words; "APPROVED" can be sent
}

// Ignored is the reason why an event of a signed call wasn't passed on.
type Ignored string

// The reasons.
const (
	IgnoredStatus      Ignored = "status"       // a status that isn't understood
	IgnoredPreference  Ignored = "preference"   // a preference that isn't understood
	IgnoredMessage     Ignored = "message"      // a message that isn't understood or isn't from a contact
	IgnoredOtherNumber Ignored = "other_number" // an event of an account that isn't configured, or of another app
	IgnoredOther       Ignored = "other"        // anything else
)

// Events are the events of one call, in its order.
type Events struct {
	Statuses    []Status
	Preferences []Preference
	Replies     []Reply
	Moves       []Move
	Templates   []TemplateChange
	Ignored     map[Ignored]int // how many were not passed on
}

// Ignore counts an event that isn't passed on.
func (e *Events) Ignore(why Ignored) {
	if e.Ignored == nil {
		e.Ignored = map[Ignored]int{}
	}
	e.Ignored[why]++
}

// Receiver stores the events of webhooks.
type Receiver interface {
	// Receive stores the events of one call. It returns nil once all of them are durable.
	// After an error the provider calls again. The same event may arrive any number of
	// times, also after the sending has ended. Receive is called by many goroutines at once.
	Receive(ctx context.Context, events Events) error
}

// Reply is a message from a contact to one of our accounts.
type Reply struct {
	Account string
	ID      string // the provider's id of the message
	Contact string // digits, "" if the number is hidden. Not for logs
	UserID  string // business-scoped user id, "" if it is unknown. Not for logs
	Type    string // text, button, interactive, image, reaction …
	Text    string // what was written or chosen, "" if the type has no text. Not for logs
	Typed   bool   // the contact typed Text, so it can be a stop word
	Quoted  string // the provider's id of the message that it answers, ""
	At      time.Time
}
