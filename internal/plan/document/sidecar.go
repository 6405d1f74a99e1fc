package document

import (
	"time"

	"campaignd/internal/campaign"
)

// Sidecar is what a partner asks for with NAME.schedule.json (SPEC 5).
type Sidecar struct {
	File             string             // base name as dropped, for messages
	ApplicationID    *int64             // nil: the inbox's default
	CampaignID       *int64             // nil: the inbox's default
	ScheduleAt       string             // "" if absent; read by When
	Delay            string             // "" if absent; read by When
	SlicingCondition campaign.Condition // FragmentedSlots if absent
	Rows, Bytes      *int64             // promised size of the CSV; nil: no promise
	SHA256           string             // promised digest of the CSV, lower case; "": no promise
	DryRun, Resend   bool
	Reference        string

	scheduleAt, delay place
}

type place struct{ line, column int }

// ParseSidecar reads a sidecar. file is its base name, for messages. The sidecar
// is nil only where the JSON is broken; with Count > 0 it holds what was understood.
func ParseSidecar(file string, data []byte) (*Sidecar, campaign.Problems) { panic("being built") }

// When is the time T the sidecar asks for, given the instant of acceptance, the
// application's zone (nil if it has none) and how far in the past still counts as now.
func (s *Sidecar) When(now time.Time, loc *time.Location, grace time.Duration) (T time.Time, problems campaign.Problems, warnings []campaign.Problem) {
	panic("being built")
}
