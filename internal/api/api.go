// Package api has the types that cross the socket, HTTP and the command line's --json, and those
// that are sent to a partner's notify_url: requests, answers and errors, each written once. It is a
// room of its own because transport (control), pages, commands and the daemon's operations share it.
//
// The types are stable: keys are added but never renamed or redefined. Instants are RFC 3339 in UTC
// and absent where there is none. Counts are messages unless their comment says otherwise.
//
// The files in a sending's folder have documents of their own (report), because their keys and
// their order are the partner's contract.
package api

import (
	"time"

	"campaignd/internal/campaign"
)

// Filter selects sendings. The zero Filter selects all.
type Filter struct {
	States      []campaign.State
	Application int64     // 0: any
	Name        string    // part of the name, in any case; "": any
	Inbox       string    // path as configured; "": any
	Since       time.Time // claimed at or after it; zero: any
	Offset      int       // number of matching sendings to skip
	Limit       int       // 0: no limit
}

// Drop has the fields that lists, details and notices share. It is also the member data of a request to notify_url.
type Drop struct {
	ID            campaign.ID        `json:"id"`
	Name          string             `json:"name"`
	Reference     string             `json:"reference,omitempty"`
	ApplicationID int64              `json:"applicationId"`
	CampaignID    int64              `json:"campaignId"`
	State         campaign.State     `json:"state"`
	Reason        string             `json:"reason,omitempty"`
	ReceivedAt    time.Time          `json:"receivedAt,omitzero"`
	ScheduledAt   time.Time          `json:"scheduledAt,omitzero"`
	StartedAt     time.Time          `json:"startedAt,omitzero"`
	FinishedAt    time.Time          `json:"finishedAt,omitzero"`
	Recipients    campaign.RowCounts `json:"recipients"`
	Messages      Messages           `json:"messages"`
}

// DropOf returns what the store knows of a drop.
func DropOf(s *campaign.Sending, c campaign.Counts) Drop {
	return Drop{ID: s.ID, Name: s.Name, Reference: s.Reference, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID,
		State: s.State, Reason: s.Reason, ReceivedAt: s.ReceivedAt, ScheduledAt: s.ScheduledAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		Recipients: s.Rows, Messages: MessagesOf(s, c)}
}

// Sending is one sending in a list.
type Sending struct {
	Drop
	Inbox        string                   `json:"inbox"`
	Condition    campaign.Condition       `json:"slicingCondition,omitempty"`
	DryRun       bool                     `json:"dryRun,omitempty"`
	Delivery     *campaign.DeliveryCounts `json:"delivery,omitempty"`    // delivery receipts of sent messages, if the channel has any; each message counts under its newest state
	Percent      float64                  `json:"percent"`               // 0 to 100 with one decimal: progress of the check while checking, else the share of messages with a final outcome
	NextSliceAt  time.Time                `json:"nextSliceAt,omitzero"`  // start of the next slice that has unsent messages
	EstimatedEnd time.Time                `json:"estimatedEnd,omitzero"` // when the last message has its outcome: the end of the last slice, or an estimate from the rate, at the latest the expiry
	NoEstimate   string                   `json:"noEstimate,omitempty"`  // why the end of an active sending that doesn't wait isn't known
	Rate         float64                  `json:"rate,omitempty"`        // messages a second with a final outcome, on average since the start
	WaitsFor     *campaign.WaitsFor       `json:"waitsFor,omitempty"`    // why it doesn't continue although something is due
	LastError    *MessageError            `json:"lastError,omitempty"`   // newest failed attempt, until the end
}

// SendingOf returns what the store knows of a sending; progress and waits are left out.
func SendingOf(s *campaign.Sending, c campaign.Counts) Sending {
	return Sending{Drop: DropOf(s, c), Inbox: s.Inbox, Condition: s.Condition, DryRun: s.DryRun}
}

// Undelivered returns how many of the sent messages the provider reported as undelivered later.
func (s *Sending) Undelivered() uint64 {
	if s.Delivery == nil {
		return 0
	}
	return s.Delivery.Failed
}

// Messages counts a sending's messages by outcome. Pending, inFlight and retrying
// are not final yet. A rejected or duplicate row counts once for each message it would have become.
type Messages struct {
	Planned    uint64 `json:"planned"`
	Pending    uint64 `json:"pending"`
	InFlight   uint64 `json:"inFlight"` // handed over without an answer yet, or prepared to be handed over next
	Retrying   uint64 `json:"retrying"`
	Sent       uint64 `json:"sent"`
	Failed     uint64 `json:"failed"`
	Unknown    uint64 `json:"unknown"`
	Expired    uint64 `json:"expired"`
	Canceled   uint64 `json:"canceled"`
	Suppressed uint64 `json:"suppressed"`
	Skipped    uint64 `json:"skipped"`
	Duplicate  uint64 `json:"duplicate"`
	Rejected   uint64 `json:"rejected"`
}

// MessageError is the newest failure of a message, without its contact.
type MessageError struct {
	At          time.Time `json:"at"`
	Line        uint32    `json:"line,omitempty"` // of the CSV
	ChannelType string    `json:"channelType,omitempty"`
	Outcome     string    `json:"outcome"`
	Code        string    `json:"code,omitempty"`
	Error       string    `json:"error"`
}

// Details describes one sending completely.
type Details struct {
	Sending
	Sliced     bool               `json:"sliced"`
	AcceptedAt time.Time          `json:"acceptedAt,omitzero"`
	Channels   []string           `json:"channels,omitempty"` // channel types that its recipients use
	Slices     []Slice            `json:"slices"`
	CSV        campaign.CSVInfo   `json:"csv"`
	Warnings   []campaign.Problem `json:"warnings,omitempty"`
	Errors     []campaign.Problem `json:"errors,omitempty"`     // the first campaign.MaxProblems
	ErrorCount int                `json:"errorCount,omitempty"` // number of errors, listed or not
	Previews   []campaign.Preview `json:"previews,omitempty"`   // of a dry run
	Folder     string             `json:"folder,omitempty"`     // folder that holds its files
}

// Slice is a sending's share of one slot. An unsliced sending has one without an end.
type Slice struct {
	Start      time.Time `json:"start"`
	End        time.Time `json:"end,omitzero"`
	Recipients uint32    `json:"recipients"`
}

// ResultsFilter selects what of results.csv is written. The zero value is all of it.
type ResultsFilter struct {
	Outcomes []campaign.Outcome // only lines with one of these; none: all
	Plain    bool               // cells without the apostrophe before what a spreadsheet would take for a formula
}

// EarlierDrop is the sending that a drop would repeat.
type EarlierDrop struct {
	ID     campaign.ID `json:"id"`     // "" if there is none
	Reason string      `json:"reason"` // why the drop would be rejected, "" if it would be accepted
}

// Change is the result of pause, resume or cancel.
type Change struct {
	ID       campaign.ID    `json:"id"`
	Name     string         `json:"name"`
	From     campaign.State `json:"from"`
	State    campaign.State `json:"state"`
	Canceled uint64         `json:"canceled,omitempty"` // messages that will not be sent
	InFlight uint64         `json:"inFlight"`           // attempts that had begun and can't be stopped

	// Canceling says that a cancel is in force: State becomes canceled with the answers to the
	// messages in flight.
	Canceling bool `json:"canceling,omitempty"`
}

// NewTime sets another beginning of a sending that has not begun. Exactly one field is set.
type NewTime struct {
	ScheduleAt string `json:"scheduleAt,omitempty"` // as in a sidecar
	Delay      string `json:"delay,omitempty"`      // from now, as in a sidecar
}

// Rescheduled is the result of a reschedule.
type Rescheduled struct {
	ID          campaign.ID    `json:"id"`
	Name        string         `json:"name"`
	State       campaign.State `json:"state"`
	From        time.Time      `json:"from"` // its time before
	ScheduledAt time.Time      `json:"scheduledAt"`
	Slices      []Slice        `json:"slices"`
}

// ChannelResume selects channels to resume.
type ChannelResume struct {
	ApplicationID int64  `json:"applicationId,omitempty"` // absent: every application that has the channel
	ChannelType   string `json:"channelType"`
}

// ResumedChannel is the result of resuming one channel.
type ResumedChannel struct {
	ApplicationID int64        `json:"applicationId"`
	ChannelType   string       `json:"channelType"`
	From          ChannelState `json:"from"`    // its state before
	Resumed       bool         `json:"resumed"` // it tries a message now; false if it wasn't waiting
}

// ResendOutcome names messages that can be sent again.
type ResendOutcome string

// The outcomes that can be sent again.
const (
	ResendFailed      ResendOutcome = "failed"
	ResendUnknown     ResendOutcome = "unknown"
	ResendUndelivered ResendOutcome = "undelivered" // sent, but the provider reported later that it couldn't be delivered
)

// Resent is the result of a resend or of its dry run.
type Resent struct {
	ID          campaign.ID    `json:"id"`
	Name        string         `json:"name"`
	State       campaign.State `json:"state"`
	DryRun      bool           `json:"dryRun"`
	Failed      uint64         `json:"failed"`      // messages that had failed
	Unknown     uint64         `json:"unknown"`     // messages whose outcome was unknown
	Undelivered uint64         `json:"undelivered"` // sent messages that the provider couldn't deliver
	Skipped     uint64         `json:"skipped"`     // messages skipped after one of these
	Messages    uint64         `json:"messages"`    // all of these
	Left        NotResent      `json:"left"`
	Slices      []Slice        `json:"slices,omitempty"`
}

// NotResent counts the messages that a resend leaves as they are. Those with a requested outcome are
// left because their contact has opted out.
type NotResent struct {
	Failed      uint64 `json:"failed,omitempty"`
	Unknown     uint64 `json:"unknown,omitempty"`
	Undelivered uint64 `json:"undelivered,omitempty"`
	Expired     uint64 `json:"expired,omitempty"`
	Canceled    uint64 `json:"canceled,omitempty"`
	Suppressed  uint64 `json:"suppressed,omitempty"`
	Skipped     uint64 `json:"skipped,omitempty"`
	Unfinished  uint64 `json:"unfinished,omitempty"` // without a final outcome: still to be sent
}

// Forgotten is the result of forgetting a contact.
type Forgotten struct {
	Suppressed uint64 `json:"suppressed"` // messages that will not be sent
	Unknown    uint64 `json:"unknown"`    // pending messages that may have been delivered
	Sendings   int    `json:"sendings"`   // that had the contact
	Files      int    `json:"files"`      // that were changed or removed
}

// OptOut is one opt-out. An application of 0, or none, means every configured
// application; an empty channel type means every channel.
type OptOut struct {
	ApplicationID int64     `json:"applicationId,omitempty"`
	ChannelType   string    `json:"channelType,omitempty"`
	ContactCode   string    `json:"contactCode"`
	At            time.Time `json:"at,omitzero"`
	Source        string    `json:"source,omitempty"` // a file, a command or a channel
}

// Imported counts the rows of a list of opt-outs.
type Imported struct {
	Rows     int                `json:"rows"`  // opt-outs taken in: a contact counts once for each application
	Added    int                `json:"added"` // of these, how many were new
	Problems []campaign.Problem `json:"problems,omitempty"`
	Rejected int                `json:"rejected"` // rows that opt out nobody
	// RejectedLines has the first five of these; Problems lists more, and rows that are doubtful.
	RejectedLines []int `json:"rejectedLines,omitempty"`
}

// TestMessage is one message to send by hand.
type TestMessage struct {
	ApplicationID int64             `json:"applicationId"`
	ChannelType   string            `json:"channelType"`
	CampaignID    int64             `json:"campaignId"`
	ContactCode   string            `json:"contactCode"`
	Message       int               `json:"message"`             // number of the campaign's message, from 1
	Variables     map[string]string `json:"variables,omitempty"` // values of the campaign's variables
}

// TestResult is the result of a TestMessage. Secrets are masked in it; the contact is not.
type TestResult struct {
	Key         string `json:"key"`
	ChannelType string `json:"channelType"`
	Driver      string `json:"driver"`
	Traced      bool   `json:"traced"`  // Request and Reply are what was on the wire
	Outcome     string `json:"outcome"` // sent, retry, failed, held or unknown
	ProviderID  string `json:"providerId,omitempty"`
	Code        string `json:"code,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Request     string `json:"request"`
	Reply       string `json:"reply"` // empty if there was none
}

// AuditFilter selects entries of the audit trail. The zero AuditFilter selects all.
type AuditFilter struct {
	Since   time.Time
	Sending campaign.ID
	Limit   int // 0: no limit
}

// AuditEntry records one change and who made it.
type AuditEntry struct {
	At      time.Time   `json:"at"`
	Who     string      `json:"who"`
	Action  string      `json:"action"` // pause, resume, cancel, resend, suppress, reload …
	Sending campaign.ID `json:"sending,omitempty"`
	Detail  string      `json:"detail,omitempty"` // without contact data
}

// MessagesOf converts a sending's counts for the API.
func MessagesOf(s *campaign.Sending, c campaign.Counts) Messages {
	rejected, duplicate := s.Refused()
	return Messages{
		Planned: s.Planned, Pending: c[campaign.Pending], InFlight: c[campaign.InFlight], Retrying: c[campaign.Retrying],
		Sent: c[campaign.Sent], Failed: c[campaign.Failed], Unknown: c[campaign.Unknown], Expired: c[campaign.Expired],
		Canceled: c[campaign.Canceled], Suppressed: c[campaign.Suppressed], Skipped: c[campaign.Skipped],
		Duplicate: duplicate, Rejected: rejected,
	}
}

// Final returns how many messages have a final outcome.
func (m Messages) Final() uint64 {
	return m.Sent + m.Failed + m.Unknown + m.Expired + m.Canceled + m.Suppressed + m.Skipped
}

// PercentOf returns the share of planned messages with a final outcome, 0 to 100 with one decimal.
func (m Messages) PercentOf() float64 { return campaign.Percent(m.Final(), m.Planned) }
