package control

import (
	"time"

	"campaignd/internal/campaign"
)

// Status is a picture of the daemon now.
type Status struct {
	Version       string                 `json:"version"`
	PID           int                    `json:"pid"`
	StartedAt     time.Time              `json:"startedAt"`
	Now           time.Time              `json:"now"` // by the daemon's clock
	ConfigFile    string                 `json:"configFile"`
	ConfigAt      time.Time              `json:"configAt,omitzero"`       // when the running configuration was read
	ConfigProblem string                 `json:"configProblem,omitempty"` // why the last reload kept the old one
	Inboxes       []Inbox                `json:"inboxes"`
	Channels      []Channel              `json:"channels"`
	Sendings      map[campaign.State]int `json:"sendings"` // how many stand at each state
	Queue         Queue                  `json:"queue"`
	Store         Store                  `json:"store"`
	Slots         []SlotFill             `json:"slots,omitempty"` // the present slot of each application that slices
	Stopping      bool                   `json:"stopping,omitempty"`
}

// Inbox is a watched folder.
type Inbox struct {
	Path     string    `json:"path"`
	Waiting  int       `json:"waiting"`  // drops that are not ready yet
	Checking int       `json:"checking"` // drops being checked
	Others   int       `json:"others"`   // files that are no part of a drop and are left alone
	LastScan time.Time `json:"lastScan,omitzero"`
	Problem  string    `json:"problem,omitempty"` // why it can't be watched or claimed from
	Waits    []Wait    `json:"waits,omitempty"`   // the drops that are not ready, the oldest first
}

// Wait is a drop that is not ready and what it waits for.
type Wait struct {
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
}

// Channel is a way to send of one application.
type Channel struct {
	ApplicationID int64     `json:"applicationId"`
	ChannelType   string    `json:"channelType"`
	Driver        string    `json:"driver"`
	Rate          float64   `json:"rate"` // messages a second as configured; 0: no limit
	Current       float64   `json:"currentRate,omitempty"`
	Concurrency   int       `json:"concurrency"`
	InFlight      int       `json:"inFlight"`
	Held          bool      `json:"held"`
	HeldReason    string    `json:"heldReason,omitempty"`
	HeldSince     time.Time `json:"heldSince,omitzero"`
	NextTryAt     time.Time `json:"nextTryAt,omitzero"`
}

// Queue is what is still to be sent over all sendings.
type Queue struct {
	Pending  uint64    `json:"pending"`
	InFlight uint64    `json:"inFlight"`
	Retrying uint64    `json:"retrying"`
	NextAt   time.Time `json:"nextAt,omitzero"` // when the next one is due
}

// Store is the bbolt file.
type Store struct {
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"`
	FreeBytes int64  `json:"freeBytes"` // within the file, given back by compaction
	DiskFree  int64  `json:"diskFree"`  // of its file system
}

// Compacted is what a compaction did.
type Compacted struct {
	BytesBefore int64   `json:"bytesBefore"` // of the store's file
	BytesAfter  int64   `json:"bytesAfter"`
	Seconds     float64 `json:"seconds"`     // from begin to end
	HeldSeconds float64 `json:"heldSeconds"` // of them, how long nothing could be written
}

// SlotFill is how full an application's present slot is, in messages.
type SlotFill struct {
	ApplicationID int64  `json:"applicationId"`
	Reserved      uint32 `json:"reserved"`
	Capacity      uint32 `json:"capacity"`
}

// Check is one thing that must work, for /readyz.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // what is wrong
}

// Level is how bad a finding is.
type Level string

// The levels of a finding.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warning"
	LevelFail Level = "failure"
)

// Finding is one thing the doctor looked at.
type Finding struct {
	Check   string `json:"check"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"` // what to do
}

// Timeline is the next 48 h of some applications.
type Timeline struct {
	From         time.Time             `json:"from"` // now, by the daemon's clock
	Until        time.Time             `json:"until"`
	Applications []ApplicationTimeline `json:"applications"`
}

// ApplicationTimeline is one application's slots. Slot n begins at n*slotSeconds
// since the Unix epoch.
type ApplicationTimeline struct {
	ApplicationID int64             `json:"applicationId"`
	Name          string            `json:"name,omitempty"`
	Timezone      string            `json:"timezone,omitempty"`
	Sliced        bool              `json:"sliced"`                // slicing is enabled
	SlotSeconds   int64             `json:"slotSeconds,omitempty"` // length of a slot
	Capacity      uint32            `json:"capacity,omitempty"`    // messages a slot
	Slots         []SlotUse         `json:"slots"`                 // those with bookings, in order
	Closed        []Span            `json:"closed,omitempty"`      // outside the sending windows
	Sendings      []TimelineSending `json:"sendings"`              // those with something unsent, by next
}

// SlotUse is what is booked in one slot, in messages.
type SlotUse struct {
	Start    time.Time `json:"start"`
	Reserved uint32    `json:"reserved"`
	Shares   []Share   `json:"shares,omitempty"`
}

// Share is one sending's part of a slot.
type Share struct {
	ID       campaign.ID `json:"id"`
	Messages uint32      `json:"messages"`
}

// Span is a stretch of time from Start up to End.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// TimelineSending is a sending that holds slots or is due without any.
type TimelineSending struct {
	ID       campaign.ID    `json:"id"`
	Name     string         `json:"name"`
	State    campaign.State `json:"state"`
	Sliced   bool           `json:"sliced"`
	Messages uint64         `json:"messages"` // unsent
	Slots    int            `json:"slots"`    // still to come
	Start    time.Time      `json:"start"`    // of its next slice, T if it isn't sliced
	End      time.Time      `json:"end,omitzero"`
}

// Bookings are an application's reserved slots.
type Reservations struct {
	ApplicationID int64         `json:"applicationId"`
	SlotSeconds   int64         `json:"slotSeconds"` // the grid they were booked on
	Capacity      uint32        `json:"capacity"`
	Slots         []Reservation `json:"slots"` // in order, those with bookings
}

// Booking is one slot by number: it begins at slot*slotSeconds since the Unix epoch.
type Reservation struct {
	Slot     int64  `json:"slot"`
	Reserved uint32 `json:"reserved"` // messages
}
