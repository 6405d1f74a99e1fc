package whatsapp

import (
	"sync"
	"time"
)

// Meta takes about one message in 6 s to the same contact, and lends up to 45 ahead.
const (
	contactInterval = 6 * time.Second
	contactBurst    = 45
	// mostContacts bounds the memory of contacts: beyond it a contact isn't followed,
	// and Meta's own answer (131056) paces it.
	mostContacts = 1 << 16
	sweepPause   = time.Second
)

// pace keeps messages to one contact apart. A contact is remembered only until
// its next message would be free, 6 s after one message. It measures by the
// monotonic clock.
type pace struct {
	mu       sync.Mutex // guards what follows
	contacts map[string]contactPace
	sweepAt  int       // when there are so many, those that are free are forgotten
	swept    time.Time // not sooner than sweepPause after this
}

type contactPace struct {
	full     time.Time // when nothing is borrowed any more
	promised time.Time // the last instant that a message was told to wait for
	blocked  time.Time // Meta asked for quiet until then
}

func newPace() *pace { return &pace{contacts: map[string]contactPace{}, sweepAt: 1024} }

// allow takes a message's turn; else it returns for how long to wait. Each
// message that is told to wait gets its own turn, in the order in which they came;
// first says that this one has not been told yet.
func (p *pace) allow(contact []byte, now time.Time, first bool) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.contacts[string(contact)]
	free := c.blocked
	if at := c.full.Add(-(contactBurst - 1) * contactInterval); at.After(free) {
		free = at
	}
	waits := free.After(now)
	if !waits && !(first && c.promised.After(now)) {
		if c.full.Before(now) {
			c.full = now
		}
		c.full = c.full.Add(contactInterval)
		p.put(contact, c, now)
		return 0
	}
	turn := c.promised.Add(contactInterval)
	if turn.Before(free) {
		turn = free
	}
	if turn.Before(now) {
		turn = now
	}
	c.promised = turn
	p.put(contact, c, now)
	return max(turn.Sub(now), time.Millisecond)
}

// block notes that Meta wants no message to contact for so long.
func (p *pace) block(contact []byte, now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.contacts[string(contact)]
	if until := now.Add(wait); until.After(c.blocked) {
		c.blocked = until
	}
	p.put(contact, c, now)
}

// put keeps c. p.mu is held.
func (p *pace) put(contact []byte, c contactPace, now time.Time) {
	if _, known := p.contacts[string(contact)]; !known && len(p.contacts) >= p.sweepAt {
		if now.Sub(p.swept) < sweepPause && len(p.contacts) >= mostContacts {
			return
		}
		p.swept = now
		for k, one := range p.contacts {
			if !one.full.After(now) && !one.promised.After(now) && !one.blocked.After(now) {
				delete(p.contacts, k)
			}
		}
		p.sweepAt = min(max(2*len(p.contacts), 1024), mostContacts)
		if len(p.contacts) >= mostContacts {
			return
		}
	}
	p.contacts[string(contact)] = c
}
