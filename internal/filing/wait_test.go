package filing

import (
	"testing"
	"time"

	"campaignd/internal/campaign"
)

// status.json is read until it is written again, and then its wait mustn't be over.
func TestAWaitThatEndsBeforeTheNextUpdateHasNoEnd(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]bool{-time.Second: false, time.Second: false, statusEvery: true, time.Hour: true} {
		k := New(Options{Now: func() time.Time { return now }, WaitsFor: func(*campaign.Sending) *campaign.WaitsFor {
			return &campaign.WaitsFor{Reason: "channel c is in trouble", Until: now.Add(ahead)}
		}})
		if w := k.waitOf(&campaign.Sending{State: campaign.StateSending}); w.Until.IsZero() == want {
			t.Errorf("a wait that ends %v from now has the end %v, want one: %v", ahead, w.Until, want)
		}
	}
}
