// Package send brings due messages to their channels. It picks what is due, fairly and
// at the channel's rate, records every attempt before it is made and its result
// afterwards, and acts on what a result means (docs/contract.md 8).
//
// It doesn't know files, drops or bbolt: Store is what it needs of the store, Channel
// what it needs of a driver. Drivers are packages below this one.
//
// How it fails: nothing goes out whose attempt could not be recorded. While the store
// can't be written it logs that once, waits, and continues when it can; results wait in
// memory, bounded by the attempts recorded. A sending that can't be read delays only
// itself. A driver that panics leaves its messages unknown.
//
// Each type owns its state; a Dispatcher is three of them and the scheduler:
//
//	channels         the configured channels, with a channelSender each
//	runs             the loaded sendings, and until when the others aren't loaded
//	orphans          messages that workers had when the previous process ended
//
// A channelSender is a loop over its parts (sender.go, step). A message goes round:
//
//	runs.load -> updates -> picker -> recorder -> attemptQueue -> deliverer -> Channel
//	                          ^          ^  |                         |
//	                          |          |  v                         v
//	                          +----------|- Store              completedQueue
//	                       its outcome   +----------------------------+
//
//	updates          what other goroutines leave for the loop
//	picker           what is due: cursors, fair turns, the group that is being picked
//	sendingCursor    the place in one sending, with its retryQueue
//	recorder         attempts and results into the store, in one commit
//	attemptQueue     recorded attempts that wait for their time or a token
//	handOverGate     the last check before a message goes, also for a worker's claim
//	deliverer        the workers that call the driver, and what other machines were handed
//	limits           how much at a time; rateLimiter: how fast; circuitBreaker: whether at all
//	channelHealth    what results say about the channel, the sending and the contact
//	answerMeter      since when the receiver has answered nothing
//	waits            why nothing is picked, as status shows it
package send

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"campaignd/internal/campaign"
)

// Message is one message at the moment it goes out, and the object that the outbox and
// webhook drivers write (docs/contract.md 11).
type Message struct {
	Key           string          `json:"key"`
	SendingID     campaign.ID     `json:"sendingId"`
	Reference     string          `json:"reference"`
	ApplicationID int64           `json:"applicationId"`
	CampaignID    int64           `json:"campaignId"`
	ChannelType   string          `json:"channelType"`
	ContactCode   string          `json:"contactCode"`            // as written
	To            string          `json:"to,omitempty"`           // the number it is sent to, on channels of numbers
	RowReference  string          `json:"rowReference,omitempty"` // contact.reference of the layout
	Number        int             `json:"message"`                // 1 to 5
	Content       json.RawMessage `json:"content"`                // the rendered item
	DueAt         time.Time       `json:"dueAt"`
	Attempt       int             `json:"attempt"`
	SentAt        time.Time       `json:"sentAt"` // set by the driver when it sends
}

// Recipient returns the contact that the message is sent to: To, or the contactCode where that is sent as
// written.
func (m *Message) Recipient() string { return cmp.Or(m.To, m.ContactCode) }

// AppendContact appends the contact as campaign.AppendContact does.
func (m *Message) AppendContact(dst []byte) []byte {
	return campaign.AppendContact(dst, []byte(m.ContactCode), []byte(m.To))
}

// Channel is a driver: it sends messages of one application's channel. Its constructor
// does no I/O and starts nothing. All methods are safe for concurrent use. Package
// sendtest tests every implementation against this contract.
type Channel interface {
	// Compile prepares one item of a campaign's messageContent for rendering and refuses
	// what this channel can't send. names are the available variables.
	Compile(item json.RawMessage, names []string) (*campaign.Template, error)

	// CheckMessage refuses a rendered message that the receiver would certainly refuse. It
	// is called for every row before the drop is accepted. to is the contact in its normal form, which
	// Message.Recipient will return. The error is shown to partners and holds no contact data. to and content are
	// valid during the call only.
	CheckMessage(to, content []byte) error

	// Batch returns the largest number of messages in one Send: 1 for a request each.
	Batch() int

	// Send attempts msgs once and sets results[i] for each msgs[i]; it never retries by
	// itself. When ctx ends it gives up at once, and what may have been written is
	// VerdictUnknown.
	Send(ctx context.Context, msgs []*Message, results []Result)

	// Close ends idle connections and open files. Nothing is sent afterwards.
	Close() error
}

// Policy says what becomes of a message whose result is unknown (docs/contract.md 8,
// on_unknown).
type Policy string

// The policies.
const (
	RetryUnknown Policy = "retry" // resend under the same key: the receiver drops duplicates
	HoldUnknown  Policy = "hold"  // final; a person may resend it
)
