package api

import (
	"time"

	"campaignd/internal/campaign"
)

// Status describes the daemon at one moment.
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
	Sendings      map[campaign.State]int `json:"sendings"` // number of sendings in each state
	Queue         Queue                  `json:"queue"`
	Store         Store                  `json:"store"`
	Slots         []SlotFill             `json:"slots,omitempty"`   // the current slot of each application that slices
	Cluster       *Cluster               `json:"cluster,omitempty"` // with [nats]
	Stopping      bool                   `json:"stopping,omitempty"`
}

// Inbox is a watched folder.
type Inbox struct {
	Path     string    `json:"path"`
	Waiting  int       `json:"waiting"`  // drops that aren't ready yet
	Checking int       `json:"checking"` // drops being checked
	Others   int       `json:"others"`   // files that belong to no drop and are left where they are
	LastScan time.Time `json:"lastScan,omitzero"`
	Problem  string    `json:"problem,omitempty"` // why drops can't be found in it or claimed from it
	Waits    []Wait    `json:"waits,omitempty"`   // drops that aren't ready, oldest first
}

// The roles of a process in a cluster.
const (
	RoleHub     = "hub"     // it keeps the store and decides
	RoleStandby = "standby" // it follows the hub and takes over when that dies
	RoleWaiting = "waiting" // it waits until it may be one of them
)

// Cluster describes the hub's connection with its workers and its standby.
type Cluster struct {
	Role      string          `json:"role"`              // hub, standby, or waiting until it may be one of them
	Server    string          `json:"server,omitempty"`  // the connected NATS server, absent if none answers
	Problem   string          `json:"problem,omitempty"` // why nothing can be handed out
	Epoch     uint64          `json:"epoch"`             // counts the hub's starts; 0: it has had no connection yet
	Lag       uint64          `json:"lag"`               // answers of workers that aren't read yet
	HandedOut int             `json:"handedOut"`         // batches without all answers
	Workers   []ClusterWorker `json:"workers"`

	Replication *Replication `json:"replication,omitempty"` // with [standby]
}

// Replication describes how a standby gets what the hub writes.
type Replication struct {
	Mode    string  `json:"mode"`              // required or best-effort
	Problem string  `json:"problem,omitempty"` // why what is written isn't in NATS, or why a standby can't follow
	Hub     string  `json:"hub,omitempty"`     // the host that leads
	Standby string  `json:"standby,omitempty"` // the host that follows, absent if none does
	Ready   bool    `json:"ready"`             // the standby has a complete copy and could take over now
	Behind  uint64  `json:"behind"`            // messages of the log that the standby hasn't applied
	Lag     float64 `json:"lag"`               // seconds since the standby last had everything
	Commit  uint64  `json:"commit"`            // number of the last commit: on the hub the last that went to the log, on the standby the last that its copy has
}

// ClusterWorker is a running worker.
type ClusterWorker struct {
	ID       string  `json:"id"`
	Host     string  `json:"host"`
	Version  string  `json:"version"`
	InFlight int     `json:"inFlight"`           // messages that it has claimed and not answered
	Places   int     `json:"places"`             // messages that it can send at once
	Offset   float64 `json:"clockOffset"`        // seconds that its clock is ahead of NATS
	Stopping bool    `json:"stopping,omitempty"` // it takes nothing new

	Since    time.Time       `json:"since"` // its start, by its clock
	Channels []WorkerChannel `json:"channels"`
}

// WorkerChannel is a channel that a worker sends.
type WorkerChannel struct {
	ApplicationID int64  `json:"applicationId"`
	ChannelType   string `json:"channelType"`
	InFlight      int    `json:"inFlight"`
	Places        int    `json:"places"`           // messages that it can send at once
	Reason        string `json:"reason,omitempty"` // why it takes none of its batches
}

// Wait is a drop that isn't ready, with the reason.
type Wait struct {
	Name   string    `json:"name"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
}

// ChannelState says whether a channel sends.
type ChannelState string

// The states of a channel.
const (
	ChannelOK        ChannelState = "ok"
	ChannelTrouble   ChannelState = "trouble"   // attempts fail: one message at a time is tried
	ChannelThrottled ChannelState = "throttled" // the receiver asked to wait
	ChannelHeld      ChannelState = "held"      // it waits for a person, and tries one message now and then
)

// ChannelStates lists the states of a channel.
func ChannelStates() []ChannelState {
	return []ChannelState{ChannelOK, ChannelTrouble, ChannelThrottled, ChannelHeld}
}

// Channel is one application's channel.
type Channel struct {
	ApplicationID int64        `json:"applicationId"`
	ChannelType   string       `json:"channelType"`
	Driver        string       `json:"driver"`
	Rate          float64      `json:"rate"` // messages a second as configured; 0: no limit
	Current       float64      `json:"currentRate,omitempty"`
	Concurrency   int          `json:"concurrency"`
	InFlight      int          `json:"inFlight"`
	Workers       *int         `json:"workers,omitempty"` // messages that its workers can send at once; absent: the daemon sends
	State         ChannelState `json:"state"`
	Reason        string       `json:"reason,omitempty"`     // why the state isn't ok
	Since         time.Time    `json:"since,omitzero"`       // since when it isn't ok
	NextTryAt     time.Time    `json:"nextTryAt,omitzero"`   // when one message is tried
	LastError     string       `json:"lastError,omitempty"`  // latest failure, absent after a success
	Held          bool         `json:"held"`                 // the state is held
	HeldReason    string       `json:"heldReason,omitempty"` // reason of a hold
	HeldSince     time.Time    `json:"heldSince,omitzero"`
}

// Queue counts the unsent messages of all sendings.
type Queue struct {
	Pending  uint64    `json:"pending"`
	InFlight uint64    `json:"inFlight"`
	Retrying uint64    `json:"retrying"`
	NextAt   time.Time `json:"nextAt,omitzero"` // when the next message is due
}

// Store is the bbolt file.
type Store struct {
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"`
	FreeBytes int64  `json:"freeBytes"` // unused space within the file, returned by compaction
	DiskFree  int64  `json:"diskFree"`  // free space of its file system
}

// Handover is the beginning of a handover.
type Handover struct {
	From  string `json:"from"`  // the host that leads no more
	To    string `json:"to"`    // the host of the standby
	Lease string `json:"lease"` // names the run of the process that leads no more
}

// Compacted is the result of a compaction.
type Compacted struct {
	BytesBefore int64   `json:"bytesBefore"` // of the store's file
	BytesAfter  int64   `json:"bytesAfter"`
	Seconds     float64 `json:"seconds"`     // duration
	HeldSeconds float64 `json:"heldSeconds"` // in which nothing could be written: all of it
}

// SlotFill counts the messages reserved in an application's current slot.
type SlotFill struct {
	ApplicationID int64  `json:"applicationId"`
	Reserved      uint32 `json:"reserved"`
	Capacity      uint32 `json:"capacity"`
}

// Check is the result of one readiness check.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // the problem
}

// ChannelTemplates are the message templates that a channel's receiver has.
type ChannelTemplates struct {
	ApplicationID int64      `json:"applicationId"`
	ChannelType   string     `json:"channelType"`
	Templates     []Template `json:"templates"`
	Error         string     `json:"error,omitempty"` // why they can't be read
}

// Template is a message template.
type Template struct {
	Name       string   `json:"name"`
	Language   string   `json:"language"`
	Status     string   `json:"status"` // in the receiver's words
	Category   string   `json:"category"`
	Parameters []string `json:"parameters"` // "header image", "body name", "button 0 url"
}

// Level ranks a finding.
type Level string

// The levels of a finding.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warning"
	LevelFail Level = "failure"
)

// Finding is the result of one of the doctor's checks.
type Finding struct {
	Check   string `json:"check"`
	Level   Level  `json:"level"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"` // how to fix it

	Since     time.Time `json:"since,omitzero"`     // of a channel: since when it isn't ok
	NextTryAt time.Time `json:"nextTryAt,omitzero"` // of a channel: when one message is tried
}

// Timeline covers the next 48 h of one or all applications.
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
	Slots         []SlotUse         `json:"slots"`                 // slots with reservations, in order
	Closed        []Span            `json:"closed,omitempty"`      // times outside the sending windows
	Sendings      []TimelineSending `json:"sendings"`              // sendings with unsent messages, ordered by their next start
	More          int               `json:"more,omitempty"`        // sendings that limit left out
}

// SlotUse counts the messages reserved in one slot.
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

// Span is the time from Start up to, but not including, End.
type Span struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// TimelineSending is a sending with unsent messages, sliced or not.
type TimelineSending struct {
	ID       campaign.ID    `json:"id"`
	Name     string         `json:"name"`
	State    campaign.State `json:"state"`
	Sliced   bool           `json:"sliced"`
	Messages uint64         `json:"messages"` // unsent messages
	Slots    int            `json:"slots"`    // slots that haven't ended
	Start    time.Time      `json:"start"`    // start of its next slice, or its scheduled time if it isn't sliced
	End      time.Time      `json:"end,omitzero"`
}

// Reservations lists an application's reserved slots.
type Reservations struct {
	ApplicationID int64         `json:"applicationId"`
	SlotSeconds   int64         `json:"slotSeconds"` // length of a slot in the grid
	Capacity      uint32        `json:"capacity"`
	Slots         []Reservation `json:"slots"` // slots with reservations, in order
}

// Reservation is one slot by number. It begins at slot*slotSeconds since the Unix epoch.
type Reservation struct {
	Slot     int64  `json:"slot"`
	Reserved uint32 `json:"reserved"` // messages
}

// LoginCode is an address of the dashboard that logs in once.
type LoginCode struct {
	Address   string    `json:"address"`
	ExpiresAt time.Time `json:"expiresAt"`
}
