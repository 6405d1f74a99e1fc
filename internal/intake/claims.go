package intake

import (
	"cmp"
	"slices"
	"sync"

	"campaignd/internal/campaign"
)

// claims are the drops that are claimed and not yet decided. While one is open no
// other drop of its inbox and name is touched, so that a claim that can't be
// finished now is tried again and never made twice.
type claims struct {
	mu   sync.Mutex // guards open
	open map[campaign.ID]*openClaim
}

type openClaim struct {
	s     *campaign.Sending // as it was begun
	retry bool              // failed for the machine's reasons; to be tried again
}

func newClaims() *claims { return &claims{open: map[campaign.ID]*openClaim{}} }

func (c *claims) begin(s *campaign.Sending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := *s // what is checked goes on changing
	c.open[s.ID] = &openClaim{s: &begun}
}

func (c *claims) end(id campaign.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

// rest notes an open claim for another try.
func (c *claims) retryLater(id campaign.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.open[id]; one != nil {
		one.retry = true
	}
}

// rested are the claims to be tried again, oldest first; they rest no more.
func (c *claims) takeRetries() []*campaign.Sending {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*campaign.Sending
	for _, one := range c.open {
		if one.retry {
			one.retry = false
			list = append(list, one.s)
		}
	}
	slices.SortFunc(list, func(a, b *campaign.Sending) int { return cmp.Compare(a.ID.Number(), b.ID.Number()) })
	return list
}

// of reports whether a drop of that inbox and name is claimed and not decided.
func (c *claims) of(inbox, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.open {
		if one.s.Inbox == inbox && one.s.Name == name {
			return true
		}
	}
	return false
}
