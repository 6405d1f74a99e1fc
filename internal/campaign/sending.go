package campaign

import (
	"slices"
	"time"
)

// State is the state of a sending (docs/contract.md 8).
type State string

// The states of a sending.
const (
	StateChecking  State = "checking" // claimed, not accepted yet
	StateScheduled State = "scheduled"
	StateSending   State = "sending"
	StatePaused    State = "paused" // by a person or a control file
	StateHeld      State = "held"   // by a channel's answer or after a restore; Reason says why
	StateCompleted State = "completed"
	StateCanceled  State = "canceled"
	StateRejected  State = "rejected"
)

// States lists the states in the order of a sending's life.
var States = []State{StateChecking, StateScheduled, StateSending, StatePaused, StateHeld, StateCompleted, StateCanceled, StateRejected}

var moves = map[State][]State{
	StateChecking:  {StateScheduled, StateHeld, StateCompleted, StateCanceled, StateRejected}, // StateCompleted: a dry run
	StateScheduled: {StateSending, StatePaused, StateHeld, StateCompleted, StateCanceled},
	StateSending:   {StatePaused, StateHeld, StateCompleted, StateCanceled, StateScheduled},
	StatePaused:    {StateScheduled, StateSending, StateHeld, StateCanceled, StateCompleted},
	StateHeld:      {StateScheduled, StateSending, StatePaused, StateCanceled, StateCompleted},
	StateCompleted: {StateScheduled, StateSending}, // resend of unknown or failed messages
	StateCanceled:  {},
	StateRejected:  {},
}

// Final reports whether the sending has ended; only a resend sends more.
func (s State) Final() bool { return s == StateCompleted || s == StateCanceled || s == StateRejected }

// Active reports whether the dispatcher may send: scheduled or sending.
func (s State) Active() bool { return s == StateScheduled || s == StateSending }

// CanBecome reports whether a move from s to t is legal.
func (s State) CanBecome(t State) bool { return slices.Contains(moves[s], t) }

// ReasonCanceled is the reason of a sending that a person or a control file canceled.
const ReasonCanceled = "canceled on request"

// Sending is the header of a drop that was accepted, is being checked or was refused:
// everything but its rows, their outcomes and its slices. It is frozen at acceptance
// except for the fields under "Moving".
type Sending struct {
	ID            ID        `json:"id"`
	Name          string    `json:"name"`      // base name of the drop
	Inbox         string    `json:"inbox"`     // the inbox's path as configured
	Reference     string    `json:"reference"` // the sidecar's, echoed
	ApplicationID int64     `json:"applicationId"`
	CampaignID    int64     `json:"campaignId"`
	Condition     Condition `json:"slicingCondition"`
	DryRun        bool      `json:"dryRun,omitempty"`
	Digest        string    `json:"digest,omitempty"` // hex SHA-256 over application, campaign, layout and CSV bytes
	Tag           string    `json:"tag"`              // the store's random mark, part of every key

	ReceivedAt  time.Time     `json:"receivedAt,omitzero"`   // time of the claim
	AcceptedAt  time.Time     `json:"acceptedAt,omitzero"`   // time of the commit
	ScheduledAt time.Time     `json:"scheduledAt,omitzero"`  // T
	MaxLateness time.Duration `json:"maxLateness,omitempty"` // expiry of unsliced recipients after T

	Sliced       bool        `json:"sliced,omitempty"`
	Channels     []string    `json:"channels,omitempty"`  // Rows.Channels indexes this
	Contents     []Content   `json:"contents,omitempty"`  // frozen messageContent
	Media        []MediaFile `json:"media,omitempty"`     // files of campaigns_dir that Contents name, as they were at acceptance
	Variables    []string    `json:"variables,omitempty"` // Rows.Values indexes this
	Messages     int         `json:"messages,omitempty"`  // most messages any of its channels sends a recipient; the stride of message statuses
	Planned      uint64      `json:"planned,omitempty"`   // messages to send in all
	Rows         RowCounts   `json:"rows"`
	CSV          CSVInfo     `json:"csv"`
	Warnings     []Problem   `json:"warnings,omitempty"`
	Problems     []Problem   `json:"problems,omitempty"`     // the first MaxProblems
	ProblemCount int         `json:"problemCount,omitempty"` // all of them
	Previews     []Preview   `json:"previews,omitempty"`     // the first messages, of a dry run
	Receipts     bool        `json:"receipts,omitempty"`     // one of its channels reports deliveries
	Files        []FileID    `json:"files,omitempty"`        // the claimed files
	Uploaded     bool        `json:"uploaded,omitempty"`     // it came over HTTP: its files were never in the inbox itself

	// Moving.
	State      State     `json:"state"`
	Reason     string    `json:"reason,omitempty"`
	StoppedAt  time.Time `json:"stoppedAt,omitzero"`  // when it was paused or held; zero in other states
	StartedAt  time.Time `json:"startedAt,omitzero"`  // first attempt
	FinishedAt time.Time `json:"finishedAt,omitzero"` // reached a final state
	Filed      bool      `json:"filed,omitempty"`     // its folder is in done/ or failed/
	Forgotten  uint32    `json:"forgotten,omitempty"` // rows whose contact was forgotten
	HoldAs     string    `json:"holdAs,omitempty"`    // while checking: hold it with this reason once it is accepted

	// Blocked counts the time in which closed windows, daily_contacts and pauses prevented sending so
	// far, up to BlockedSince, and BlockedSince the start of such a time that still lasts.
	Blocked      time.Duration `json:"blocked,omitempty"`
	BlockedSince time.Time     `json:"blockedSince,omitzero"`

	// Stored beside the header; the store fills them in when it loads a whole sending.
	Delivery       DeliveryCounts `json:"-"`
	ReceiptVersion uint64         `json:"-"` // changes of Delivery so far
}

// RowCounts counts the data rows of the CSV.
type RowCounts struct {
	Total     uint32 `json:"total"`
	Accepted  uint32 `json:"accepted"`
	Rejected  uint32 `json:"rejected"`
	Duplicate uint32 `json:"duplicate"`
}

// CSVInfo describes the CSV file as it was uploaded (in a zip, the CSV in it).
type CSVInfo struct {
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
	Encoding  string `json:"encoding"`  // utf-8, utf-16le, utf-16be, windows-1252 or EncodingSheet
	Delimiter string `json:"delimiter"` // "," ";" "|" or a tab; "" in a spreadsheet
}

// EncodingSheet is the encoding of a CSV that came as a spreadsheet.
const EncodingSheet = "xlsx"

// MediaFile is an image, video or document that a campaign names by its file in campaigns_dir
// (docs/contract.md 6).
type MediaFile struct {
	Name   string `json:"name"`   // within campaigns_dir, without a folder
	SHA256 string `json:"sha256"` // hex; it identifies the content
	Size   int64  `json:"size"`   // in bytes
	Type   string `json:"type"`   // media type by its content, such as "image/jpeg"
}

// Preview is one message as it would be sent.
type Preview struct {
	Line        uint32   `json:"line"`
	ContactCode string   `json:"contactCode"`
	ChannelType string   `json:"channelType"`
	Message     int      `json:"message"`
	Content     string   `json:"content"`        // the rendered item, JSON
	Text        []string `json:"text,omitempty"` // the lines that the recipient sees, where the channel knows more than the content says
}

// FileID identifies a file without reading it.
type FileID struct {
	Name    string `json:"name"` // as dropped
	Size    int64  `json:"size"`
	Device  uint64 `json:"device"`
	Inode   uint64 `json:"inode"`
	ModTime int64  `json:"mtime"` // Unix nanoseconds
	Change  int64  `json:"ctime"` // Unix nanoseconds
}

// Refused returns the number of messages of the refused rows: a rejected or duplicate
// row counts once for each message of the campaign, like a row that was sent
// (docs/contract.md 8: one outcome for every row and message).
func (s *Sending) Refused() (rejected, duplicate uint64) {
	each := uint64(s.MessagesOfRow())
	return each * uint64(s.Rows.Rejected), each * uint64(s.Rows.Duplicate)
}

// MessagesOfRow returns the number of messages that a refused row counts for, at least 1.
// It is the most that any channel would have sent: the row's channel may be its fault.
func (s *Sending) MessagesOfRow() int { return max(s.Messages, 1) }

// Void reports whether the record is a claim without a drop: its files went back to the inbox, or
// never came.
func (s *Sending) Void() bool { return s.State == StateRejected && len(s.Files) == 0 }

// FolderName returns the name of the sending's folder in accepted/, done/ or failed/.
func (s *Sending) FolderName() string { return s.Name + "." + string(s.ID) }

// ReferenceVariable is the entry of Variables that holds the rows' references
// (contact.reference of the layout). No campaign variable has a dot in its name.
const ReferenceVariable = "contact.reference"

// RowReference returns the reference of row i of rows, nil if the layout gives none.
func (s *Sending) RowReference(rows *Rows, i int) []byte {
	v := slices.Index(s.Variables, ReferenceVariable)
	if v < 0 || v >= len(rows.Values) {
		return nil
	}
	return rows.Values[v].At(i)
}

// MaxBlocked limits how much later than max_lateness unsliced messages expire, because our own
// rules prevent sending (docs/contract.md 8).
const MaxBlocked = 7 * 24 * time.Hour

// Stopped reports whether it waits for a person or a later try: it is paused or held.
func (s State) Stopped() bool { return s == StatePaused || s == StateHeld }

// SetBlocked begins or ends a time in which our own rules prevent sending. It changes nothing
// if that is so already, or while the sending is paused, which is such a time itself.
func (s *Sending) SetBlocked(blocked bool, at time.Time) {
	if blocked == !s.BlockedSince.IsZero() || s.State == StatePaused && !blocked {
		return
	}
	if blocked {
		s.BlockedSince = at.UTC()
		return
	}
	s.Blocked += max(at.Sub(s.BlockedSince), 0)
	s.BlockedSince = time.Time{}
}
