package plan

import "campaignd/internal/campaign"
import "time"

// Advice is what a sending that didn't fit could do instead.
type Advice struct {
	Room   uint32               // recipients its condition has room for at its T
	Fits   []campaign.Condition // other conditions under which it would fit at its T
	At     time.Time            // the earliest later slot start at which it would fit as T; zero if there is none by Latest
	Most   uint64               // recipients that 48 hours of empty, open slots hold
	Reason string               // all of it for a person
}

// Advise says what would have fitted.
func (g Grid) Advise(b Bookings, req Request) (Advice, error) { return Advice{}, nil }
