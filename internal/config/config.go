// Package config reads campaignd.toml (docs/contract.md 11): its keys, their defaults,
// a strict load that reports every error at once with line, column and the nearest
// key, and the effective values as text.
//
// It reads only that file and the requested secrets. Whether a folder exists or a token
// is valid is checked where it is used. A file with any error gives no Config at all,
// so half a configuration is never used. One list of keys (Keys) drives the load, the defaults, Show,
// docs/configuration.md and the check of the sample file.
package config

import (
	"maps"
	"path/filepath"
	"slices"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/contact"
	"campaignd/internal/plan"
)

// Config is the whole configuration with every default filled in.
type Config struct {
	File             string // path it was read from
	StateDir         string
	CampaignsDir     string
	Listen           string   // "" is off
	TokenFile        string   // of HTTP; "": http_token in StateDir
	MetricsToken     bool     // /metrics needs the token on loopback too
	TrustedProxies   []string // addresses or networks
	SocketGroup      string   // group of the control socket, "" for the daemon's own
	Rescan           calendar.Schedule
	RescanText       string // as written: "10s", "every 10s", "@every 10s" or a cron expression
	Retention        time.Duration
	Housekeeping     calendar.Schedule // of applying retention
	HousekeepingText string
	ResultsRefresh   time.Duration // from a receipt after the end of a sending to its files
	StopTimeout      time.Duration // for messages in flight at a stop (10s)
	RetryHold        time.Duration // wait before a held channel is tried again (5m)
	MaxOptOuts       int64         // in the store, all applications together
	Log              Log
	NATS             *NATS    // nil: one machine does everything
	Standby          *Standby // nil: there is no standby

	Inboxes      []Inbox
	Applications []Application

	drivers []Driver // that the load knew
}

// Log configures the daemon's log.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // auto (text on a terminal, else json), text, json
}

// NATS is the table [nats]: how the hub and its workers reach each other.
type NATS struct {
	Servers         []string
	CredentialsFile string // "": none
	Name            string // of the cluster
	Replicas        int
	Monitoring      []string // URLs of the servers' monitoring; none: doctor doesn't ask whether they sync
}

// Standby is the table [standby]: how a second machine gets what it needs to take over.
type Standby struct {
	Lease       time.Duration // without a renewal for so long, the right to lead is free
	Replication string        // one of the Replication constants
}

// Values of [standby] replication.
const (
	ReplicationRequired   = "required"    // nothing is committed that the log of NATS doesn't have
	ReplicationBestEffort = "best-effort" // commits don't wait for the log
	ReplicationOff        = "off"         // there is no log, and nobody can take over
)

// Replicates reports whether a standby can follow this configuration's hub.
func (c *Config) Replicates() bool {
	return c.Standby != nil && c.Standby.Replication != ReplicationOff
}

// Inbox is one [[inboxes]] table.
type Inbox struct {
	Path              string
	Application       int64    // default for sidecars that name none; 0: no default
	Campaign          int64    // default for sidecars that name none; 0: no default
	Layout            string   // default layout: a path or LayoutColumns; "": none
	Schedule          string   // default keys of sidecars, as a JSON object; "": none
	ContactColumns    []string // columns that may be the contactCode, best first; for LayoutColumns
	NamePattern       string   // regular expression that every NAME must match; "": none
	AllowApplications []int64
	AllowCampaigns    []int64
	Settle            time.Duration
	SidecarWait       time.Duration
	RequireSidecar    bool
	PairTimeout       time.Duration
	UnterminatedWait  time.Duration
	NoteAfter         time.Duration
	Ignore            []string // path.Match patterns
	MaxDrops          int      // drops that have not ended; 0: no limit
	MaxPendingBytes   int64    // of the files of these; 0: no limit
	TokenFile         string   // token of the partner for HTTP; "": none
	NotifyURL         string   // is told the end of each drop; "": none
	NotifySecretFile  string   // signs these requests

	Location *time.Location // time zone of the application that its drops are for; nil: none, or not known
}

// LayoutColumns as an inbox's layout means that every variable is the column of its name.
const LayoutColumns = "columns"

// zoneOf returns the time zone of the application that an inbox's drops are for, as far as that is known: its
// default, or the only one that it may send for.
func (c *Config) zoneOf(in *Inbox) *time.Location {
	if in.Application == 0 && len(in.AllowApplications) == 1 {
		return c.Zone(in.AllowApplications[0])
	}
	return c.Zone(in.Application)
}

// Allows reports whether drops of this inbox may send for an application.
func (in *Inbox) Allows(application int64) bool {
	return len(in.AllowApplications) == 0 || slices.Contains(in.AllowApplications, application)
}

// AllowsCampaign reports whether drops of this inbox may send a campaign with this number, of
// whichever application.
func (in *Inbox) AllowsCampaign(campaign int64) bool {
	return len(in.AllowCampaigns) == 0 || slices.Contains(in.AllowCampaigns, campaign)
}

// Application is one [[applications]] table.
type Application struct {
	ID              int64
	Name            string
	Timezone        string
	Country         string            // ISO 3166-1 code of the country whose numbers need no calling code; "" for none
	Location        *time.Location    // nil if no timezone is set
	Windows         *calendar.Windows // nil: always open
	WindowTexts     []string
	Slicing         Slicing
	MaxRows         int
	MaxFileSize     int64
	MaxBadRows      float64 // share of the data rows, 0 to 1
	Dedupe          bool
	DuplicateWindow time.Duration
	ScheduleGrace   time.Duration
	MaxLateness     time.Duration
	Channels        map[string]Channel
}

// Slicing is an application's slot grid.
type Slicing struct {
	Enabled              bool
	ActivationRecipients uint32
	Slot                 time.Duration
	Capacity             uint32
	Pacing               string // "even" or "burst"
}

// Channel is one [applications.channels.NAME] table. Keys of other drivers are refused.
type Channel struct {
	Name           string
	Driver         string
	Rate           float64 // messages a second; 0: no limit
	Concurrency    int
	MaxAttempts    int
	RetryBase      time.Duration
	RetryMax       time.Duration
	OnUnknown      string        // "retry" or "hold"; the driver's default if not set
	RefusalsInARow int           // equal refusals in a row that hold a sending
	Contacts       string        // a contact.Kind; the driver's default if not set
	StopWords      []string      // replies that opt a contact out, where the driver receives replies
	SendFrom       string        // FromHere or FromWorkers
	Batch          int           // most messages that a worker takes at a time
	AnswerWait     time.Duration // from a worker's last sign until its messages are unknown

	Settings Settings // of the driver's own keys

	driver *Driver
}

// The values of send_from.
const (
	FromHere    = "here"    // the daemon sends
	FromWorkers = "workers" // the machines that run campaignd worker send
)

// Remote reports whether workers send the channel's messages.
func (c Channel) Remote() bool { return c.SendFrom == FromWorkers }

// Silent reports whether the channel's driver sends nothing and calls it sent.
func (c Channel) Silent() bool { return c.driver != nil && c.driver.Silent }

// Application returns the application with the id, or nil.
func (c *Config) Application(id int64) *Application {
	for i := range c.Applications {
		if c.Applications[i].ID == id {
			return &c.Applications[i]
		}
	}
	return nil
}

// Inbox returns the inbox at a path, nil if there is none.
func (c *Config) Inbox(path string) *Inbox {
	for i := range c.Inboxes {
		if SamePath(c.Inboxes[i].Path, path) {
			return &c.Inboxes[i]
		}
	}
	return nil
}

// InboxesNamed returns the inbox at a path, or else those whose path ends with that name.
func (c *Config) InboxesNamed(named string) (found []*Inbox) {
	for i := range c.Inboxes {
		in := &c.Inboxes[i]
		if path, err := filepath.Abs(in.Path); err == nil {
			if want, err := filepath.Abs(named); err == nil && path == want {
				return []*Inbox{in}
			}
		}
		if filepath.Base(in.Path) == filepath.Clean(named) {
			found = append(found, in)
		}
	}
	return found
}

// SamePath reports whether two paths are of the same inbox: one of them may have been cleaned.
func SamePath(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

// ContactRules returns how the contacts of a channel are read. For "" and for a channel that the application doesn't have, they
// are those of any contact.
func (a *Application) ContactRules(channel string) contact.Rules {
	ch := a.Channels[channel]
	userIDs := ch.driver != nil && ch.driver.UserIDs
	kind, _ := contact.ParseKind(ch.Contacts)                                  // checked by the load
	rules, _ := contact.New(kind, a.Country, userIDs && kind == contact.Phone) // and the country
	return rules
}

// Grid returns the application's slots.
func (a *Application) Grid() plan.Grid {
	return plan.Grid{Slot: a.Slicing.Slot, Capacity: a.Slicing.Capacity, Windows: a.Windows}
}

// Zone returns the time zone of an application, nil if there is none of that id.
func (c *Config) Zone(application int64) *time.Location {
	if a := c.Application(application); a != nil {
		return a.Location
	}
	return nil
}

// SlowestRate returns the lowest rate, in messages a second, that any of the named channels of
// an application is limited to; 0 if none is.
func (c *Config) SlowestRate(application int64, channels []string) float64 {
	slowest := 0.0
	if a := c.Application(application); a != nil {
		for _, name := range channels {
			if rate := a.Channels[name].Rate; rate > 0 && (slowest == 0 || rate < slowest) {
				slowest = rate
			}
		}
	}
	return slowest
}

// ChannelNames returns the names of the channels that any of the applications has, sorted.
func (c *Config) ChannelNames(applications []int64) []string {
	var names []string
	for _, id := range applications {
		if a := c.Application(id); a != nil {
			names = slices.AppendSeq(names, maps.Keys(a.Channels))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
