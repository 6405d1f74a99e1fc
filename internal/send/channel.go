// Package send brings due messages to their channels: it picks what is due,
// fairly and at the channel's pace, has every attempt written into the books
// before it is made and its result after, and decides what a result means
// (retry, hold, unknown).
//
// It doesn't know files, drops or bbolt: Book is what it needs of the store,
// Channel what it needs of a driver. Drivers live in rooms below this one.
//
// How it fails: nothing goes out whose attempt could not be recorded. While the
// books can't be written it says so once, waits, and goes on by itself when they
// can; results wait in memory, of which there are no more than were marked. What
// can't be read of one sending holds up that sending alone. A driver that panics
// leaves its messages' outcome unknown.
package send

import (
	"context"
	"encoding/json"
	"time"

	"campaignd/internal/campaign"
)

// Message is one message at the moment it goes out, and the object that the
// outbox and webhook drivers write (SPEC 11).
type Message struct {
	Key           string          `json:"key"`
	SendingID     campaign.ID     `json:"sendingId"`
	Reference     string          `json:"reference"`
	ApplicationID int64           `json:"applicationId"`
	CampaignID    int64           `json:"campaignId"`
	ChannelType   string          `json:"channelType"`
	ContactCode   string          `json:"contactCode"`
	Number        int             `json:"message"` // 1 to 5
	Content       json.RawMessage `json:"content"` // the rendered item
	DueAt         time.Time       `json:"dueAt"`
	Attempt       int             `json:"attempt"`
	SentAt        time.Time       `json:"sentAt"` // set by the driver when it sends
}

// Verdict says what a channel's answer means. There is no default: a driver
// that can't tell says VerdictUnknown.
type Verdict uint8

// The verdicts (SPEC 8).
const (
	_                Verdict = iota
	VerdictSent              // accepted by the receiver
	VerdictRetry             // surely not sent, may work later
	VerdictPermanent         // surely not sent, never will be
	VerdictHold              // surely not sent, and others would fare alike: see Result.Hold
	VerdictUnknown           // sent or not, no one can tell
)

// Scope is what a VerdictHold holds.
type Scope uint8

// The scopes of a hold.
const (
	HoldSending Scope = iota + 1
	HoldChannel
)

// Result is a channel's typed answer for one message.
type Result struct {
	Verdict    Verdict
	ProviderID string        // the provider's id of the message, with VerdictSent
	Code       string        // the provider's code, e.g. an HTTP status
	Detail     string        // for a person: what happened and what to do; no contact data, no secret
	RetryAfter time.Duration // with VerdictRetry: not sooner than this, 0 leaves it to the back-off; with HoldChannel: when to try again, 0: retry_hold
	Hold       Scope         // with VerdictHold
	SlowDown   bool          // the provider throttles: halve the channel's rate
	OptOut     bool          // with VerdictPermanent: the contact opted out of this channel
}

// Channel is a driver: it sends messages of one application's channel. Its
// constructor does no I/O and starts nothing. All methods are safe for
// concurrent use. sendtest holds every implementation to this page.
type Channel interface {
	// Compile prepares one item of a campaign's messageContent for rendering and
	// refuses what this channel can't send. names are the variables there are.
	Compile(item json.RawMessage, names []string) (*campaign.Template, error)

	// CheckMessage refuses a rendered message that the receiver surely would
	// refuse; called for every row before the drop is accepted. The error is
	// fit for a partner and holds no contact data. content is valid during the call only.
	CheckMessage(contactCode, content []byte) error

	// Batch is the most messages one Send takes: 1 for a request each.
	Batch() int

	// Send attempts msgs once and sets results[i] for each msgs[i]; it never
	// retries by itself. A ctx that ends means: give up at once, and what
	// may have been written is VerdictUnknown.
	Send(ctx context.Context, msgs []*Message, results []Result)

	// Close ends idle connections and open files. Nothing is sent afterwards.
	Close() error
}

// Policy says what becomes of a message whose result is unknown (SPEC 8, on_unknown).
type Policy string

// The policies.
const (
	RetryUnknown Policy = "retry" // resend under the same key: the receiver drops doubles
	HoldUnknown  Policy = "hold"  // final; a person may resend it
)
