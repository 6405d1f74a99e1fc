package control

import (
	"time"

	"campaignd/internal/campaign"
)

// The types of the JSON API and of --json. They are stable: keys are added,
// never renamed or given another meaning. Instants are RFC 3339 in UTC, absent
// where there is none; counts are of messages unless they say otherwise.

// Filter chooses sendings. The zero Filter chooses all.
type Filter struct {
	States      []campaign.State
	Application int64 // 0: any
	Limit       int   // 0: no limit
}

// Sending is one sending in a list.
type Sending struct {
	ID            campaign.ID        `json:"id"`
	Name          string             `json:"name"`
	Reference     string             `json:"reference,omitempty"`
	Inbox         string             `json:"inbox"`
	State         campaign.State     `json:"state"`
	Reason        string             `json:"reason,omitempty"`
	ApplicationID int64              `json:"applicationId"`
	CampaignID    int64              `json:"campaignId"`
	Condition     campaign.Condition `json:"slicingCondition,omitempty"`
	DryRun        bool               `json:"dryRun,omitempty"`
	ReceivedAt    time.Time          `json:"receivedAt,omitzero"`
	ScheduledAt   time.Time          `json:"scheduledAt,omitzero"`
	StartedAt     time.Time          `json:"startedAt,omitzero"`
	FinishedAt    time.Time          `json:"finishedAt,omitzero"`
	Recipients    campaign.RowCounts `json:"recipients"`
	Messages      Messages           `json:"messages"`
	Percent       float64            `json:"percent"`               // 0 to 100: of checking while checking, else of messages with a final outcome
	NextSliceAt   time.Time          `json:"nextSliceAt,omitzero"`  // start of the next slice with something unsent
	EstimatedEnd  time.Time          `json:"estimatedEnd,omitzero"` // end of the last slice, or by the rate of the last minute
	Rate          float64            `json:"rate,omitempty"`        // messages a second over the last minute
	LastError     *MessageError      `json:"lastError,omitempty"`   // newest failure of a message
}

// Messages counts a sending's messages by outcome. The first three after
// planned are on their way. duplicate and rejected count rows of the CSV, which never became messages.
type Messages struct {
	Planned    uint64 `json:"planned"`
	Pending    uint64 `json:"pending"`
	InFlight   uint64 `json:"inFlight"`
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

// Details is all about one sending.
type Details struct {
	Sending
	Sliced     bool                     `json:"sliced"`
	AcceptedAt time.Time                `json:"acceptedAt,omitzero"`
	Channels   []string                 `json:"channels,omitempty"` // channel types its recipients are on
	Slices     []Slice                  `json:"slices"`
	Held       []Hold                   `json:"held,omitempty"` // held channels that keep it waiting
	CSV        campaign.CSVInfo         `json:"csv"`
	Warnings   []campaign.Problem       `json:"warnings,omitempty"`
	Errors     []campaign.Problem       `json:"errors,omitempty"`     // the first campaign.MaxProblems
	ErrorCount int                      `json:"errorCount,omitempty"` // all of them
	Previews   []campaign.Preview       `json:"previews,omitempty"`   // of a dry run
	Delivery   *campaign.DeliveryCounts `json:"delivery,omitempty"`   // what became of sent messages, where a channel tells; each counts where it stands now
	Folder     string                   `json:"folder,omitempty"`     // where its files lie
}

// Slice is a sending's share of one slot; without an end it is not sliced.
type Slice struct {
	Start      time.Time `json:"start"`
	End        time.Time `json:"end,omitzero"`
	Recipients uint32    `json:"recipients"`
}

// Earlier is the sending that a drop would repeat.
type EarlierDrop struct {
	ID     campaign.ID `json:"id"`     // "" if there is none
	Reason string      `json:"reason"` // why the drop would be rejected, "" if it would not
}

// Hold says that a channel of an application waits for a person or a next try, and why.
type Hold struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType"`
	Reason        string    `json:"reason"`
	Since         time.Time `json:"since,omitzero"`
	NextTryAt     time.Time `json:"nextTryAt,omitzero"`
}

// Change is what pause, resume or cancel did.
type Change struct {
	ID       campaign.ID    `json:"id"`
	Name     string         `json:"name"`
	From     campaign.State `json:"from"`
	State    campaign.State `json:"state"`
	Canceled uint64         `json:"canceled,omitempty"` // messages that will not be sent
	InFlight uint64         `json:"inFlight"`           // attempts under way that could not be called back
}

// Resent is what a resend did, or would do.
type Resent struct {
	ID       campaign.ID    `json:"id"`
	Name     string         `json:"name"`
	State    campaign.State `json:"state"`
	DryRun   bool           `json:"dryRun"`
	Failed   uint64         `json:"failed"`  // messages taken from this outcome
	Unknown  uint64         `json:"unknown"` // likewise
	Messages uint64         `json:"messages"`
	Slices   []Slice        `json:"slices,omitempty"`
}

// Suppression is one opt-out. An application of 0 stands for every one
// configured, an empty channel type for every channel.
type OptOut struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType,omitempty"`
	ContactCode   string    `json:"contactCode"`
	At            time.Time `json:"at,omitzero"`
	Source        string    `json:"source,omitempty"` // where it came from: a file, a command, a channel
}

// Imported counts the rows of a list of opt-outs.
type Imported struct {
	Rows     int                `json:"rows"`
	Added    int                `json:"added"` // the rest of the good rows were there already
	Problems []campaign.Problem `json:"problems,omitempty"`
	Rejected int                `json:"rejected"` // rows that were not taken; Problems lists the first
}

// TestMessage is one message that a person wants to see go out.
type TestMessage struct {
	ApplicationID int64             `json:"applicationId"`
	ChannelType   string            `json:"channelType"`
	CampaignID    int64             `json:"campaignId"`
	ContactCode   string            `json:"contactCode"`
	Message       int               `json:"message"`             // which of the campaign's, from 1
	Variables     map[string]string `json:"variables,omitempty"` // values of the campaign's variables
}

// TestResult is what became of a TestMessage. Secrets are masked in it; the contact is not.
type TestResult struct {
	Key         string `json:"key"`
	ChannelType string `json:"channelType"`
	Driver      string `json:"driver"`
	Outcome     string `json:"outcome"` // sent, retry, failed, held or unknown
	ProviderID  string `json:"providerId,omitempty"`
	Code        string `json:"code,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Request     string `json:"request"`
	Reply       string `json:"reply"` // empty if none came
}

// AuditFilter chooses entries of the audit trail. The zero AuditFilter chooses all.
type AuditFilter struct {
	Since   time.Time
	Sending campaign.ID
	Limit   int // 0: no limit
}

// AuditEntry is one change somebody made.
type AuditEntry struct {
	At      time.Time   `json:"at"`
	Who     string      `json:"who"`
	Action  string      `json:"action"` // pause, resume, cancel, resend, suppress, reload …
	Sending campaign.ID `json:"sending,omitempty"`
	Detail  string      `json:"detail,omitempty"` // no contact data
}

// MessagesOf counts a sending's messages for the API.
func MessagesOf(s *campaign.Sending, c campaign.Counts) Messages {
	rejected, duplicate := s.Refused()
	return Messages{
		Planned: s.Planned, Pending: c[campaign.Pending], InFlight: c[campaign.InFlight], Retrying: c[campaign.Retrying],
		Sent: c[campaign.Sent], Failed: c[campaign.Failed], Unknown: c[campaign.Unknown], Expired: c[campaign.Expired],
		Canceled: c[campaign.Canceled], Suppressed: c[campaign.Suppressed], Skipped: c[campaign.Skipped],
		Duplicate: duplicate, Rejected: rejected,
	}
}

// Final is how many messages have a final outcome.
func (m Messages) Final() uint64 {
	return m.Sent + m.Failed + m.Unknown + m.Expired + m.Canceled + m.Suppressed + m.Skipped
}

// PercentOf is how much of planned is final, 0 to 100; 100 where nothing was planned.
func (m Messages) PercentOf() float64 {
	if m.Planned == 0 {
		return 100
	}
	return 100 * min(float64(m.Final())/float64(m.Planned), 1)
}
