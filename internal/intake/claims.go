package intake

import (
	"cmp"
	"slices"
	"sync"

	"campaignd/internal/campaign"
)

// claims holds the drops that are claimed and not yet decided. While one is open, no other drop of
// its inbox and name is touched, so that an unfinished claim is retried and never made twice.
type claims struct {
	mu   sync.Mutex // guards open
	open map[campaign.ID]*openClaim
}

type openClaim struct {
	s     *campaign.Sending // as it was when claimed
	retry bool              // failed because of the machine; to be retried
}

func newClaims() *claims { return &claims{open: map[campaign.ID]*openClaim{}} }

func (c *claims) begin(s *campaign.Sending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := *s // the check changes the original
	c.open[s.ID] = &openClaim{s: &begun}
}

func (c *claims) end(id campaign.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

// retryLater marks an open claim for another try.
func (c *claims) retryLater(id campaign.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.open[id]; one != nil {
		one.retry = true
	}
}

// takeRetries returns the claims to be retried, oldest first, and clears their marks.
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
	key := nameOf(inbox, name)
	for _, one := range c.open {
		if nameOf(one.s.Inbox, one.s.Name) == key {
			return true
		}
	}
	return false
}
