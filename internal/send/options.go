package send

import (
	"log/slog"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/plan"
)

// Options configure a Dispatcher. Store is required.
type Options struct {
	Store Store
	Log   *slog.Logger     // nil: silent
	Now   func() time.Time // the wall clock; nil: time.Now. It may jump; durations use the monotonic clock

	// OnChange is called after every change of a sending's state or slices, from
	// any goroutine. It must be fast and must not call the Dispatcher.
	OnChange func(campaign.ID)
	// OptedOut is called when an answer says that the contact has opted out of the channel
	// (Result.OptOut), before the result is recorded. An error is logged.
	OptedOut func(application int64, channelType string, m *Message) error
	Observer Observer // nil: none
	// Bars returns why this process may not hand anything over now, "" if it may. It is asked at every
	// hand-over, by any goroutine, and must be fast. nil: nothing ever prevents it.
	Bars func() string

	StopTimeout time.Duration // how long messages in flight may take at a stop; 0: 10s
	RetryHold   time.Duration // time until a held channel or sending is tried again; 0: 5m
}

// Observer receives figures for metrics. Its methods are called often and from many
// goroutines, so they must be fast.
type Observer interface {
	// Attempted is called after a call of a driver with n messages. lateness is that of the
	// latest message at its handover, took the time of the call.
	Attempted(application int64, channelType string, n int, lateness, took time.Duration)
	// Recorded is called after the outcome o of n messages of a channel was recorded: a final
	// one, Retrying, or Pending for returned messages.
	Recorded(application int64, channelType string, o campaign.Outcome, n int)
}

// Application has the settings of one application.
type Application struct {
	ID       int64
	Windows  *calendar.Windows // nil: always open
	Grid     *plan.Grid        // nil: no slots, so passed slices can't be planned again and go out as they are
	Burst    bool              // pacing: a slot's messages are due at its start, not spread over it
	Channels []ChannelSettings
}

// ChannelSettings is one channel of an application with its settings (docs/contract.md 8).
type ChannelSettings struct {
	Name        string // the channelType
	Channel     Channel
	Rate        float64       // messages a second; 0: no limit
	Concurrency int           // calls of the driver at a time; 0: 1
	MaxAttempts int           // 1 to campaign.MaxAttempts; 0: 6
	RetryBase   time.Duration // 0: 1s
	RetryMax    time.Duration // 0: 10m
	OnUnknown   Policy        // "": HoldUnknown

	AnswerWait time.Duration // of a remote channel: how long a worker that has claimed a batch may be silent; 0: 1m

	// RefusalsInARow equal permanent refusals in a row hold a sending; 0: 20.
	RefusalsInARow int
}

// ChannelStatus is the status of one channel.
type ChannelStatus struct {
	Application int64
	Name        string
	Rate        float64 // as configured; 0: no limit
	Limit       float64 // in force: lower than Rate after a throttle; 0: no limit
	Sendings    int     // loaded sendings: with something due or within the lookahead
	InFlight    int     // messages without a recorded result
	Remote      bool    // workers on other machines send
	Places      int     // of a remote channel: messages that its workers can send at the same time

	State     ChannelState
	Held      bool      // State is ChannelHeld
	OwnRule   bool      // it is held by a rule of ours, such as daily_contacts, which ends by itself
	Reason    string    // why State isn't ChannelOK
	Since     time.Time // since when
	RetryAt   time.Time // when one message will be tried, and nothing before; zero if it is under way or nothing prevents others
	LastError string    // the channel's latest failure; "" after a success

	WaitsForWorkers bool // Reason is that nothing can be handed out to workers
}
