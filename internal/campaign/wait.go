package campaign

import "time"

// WaitsFor says why a sending with something due doesn't continue (docs/contract.md 8).
type WaitsFor struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"` // absent if it is unknown
}
