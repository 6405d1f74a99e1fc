package whatsapp

import (
	"sync"
	"time"
)

// Meta accepts about one message in 6 s to the same contact, with a burst of 45.
const (
	contactInterval = 6 * time.Second
	contactBurst    = 45
	// maxContacts limits the memory: beyond it a contact isn't tracked, and Meta's own
	// answer (131056) limits it.
	maxContacts   = 1 << 16
	sweepInterval = time.Second
)

// contactLimiter limits the rate of messages to each contact. It forgets a contact once its next
// message needs no wait, 6 s after a single message. It uses the monotonic clock.
type contactLimiter struct {
	mu       sync.Mutex // guards the fields below
	contacts map[string]contactState
	sweepAt  int       // the number of contacts at which those without a wait are forgotten
	swept    time.Time // the last sweep; the next is sweepInterval later or more
}

type contactState struct {
	debtUntil time.Time // when the burst is available again
	nextTurn  time.Time // the latest instant that was assigned to a waiting message
	blocked   time.Time // Meta accepts nothing until then
}

func newContactLimiter() *contactLimiter {
	return &contactLimiter{contacts: map[string]contactState{}, sweepAt: 1024}
}

// allow returns 0 if a message may be sent now, otherwise its wait. Each waiting message gets
// its own instant, in order of arrival. first reports that this one has none yet.
func (p *contactLimiter) allow(contact []byte, now time.Time, first bool) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.contacts[string(contact)]
	free := c.blocked
	if at := c.debtUntil.Add(-(contactBurst - 1) * contactInterval); at.After(free) {
		free = at
	}
	waits := free.After(now)
	if !waits && !(first && c.nextTurn.After(now)) {
		if c.debtUntil.Before(now) {
			c.debtUntil = now
		}
		c.debtUntil = c.debtUntil.Add(contactInterval)
		p.put(contact, c, now)
		return 0
	}
	turn := c.nextTurn.Add(contactInterval)
	if turn.Before(free) {
		turn = free
	}
	if turn.Before(now) {
		turn = now
	}
	c.nextTurn = turn
	p.put(contact, c, now)
	return max(turn.Sub(now), time.Millisecond)
}

// block records that Meta accepts no message to contact for wait.
func (p *contactLimiter) block(contact []byte, now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.contacts[string(contact)]
	if until := now.Add(wait); until.After(c.blocked) {
		c.blocked = until
	}
	p.put(contact, c, now)
}

// put stores c. p.mu is held.
func (p *contactLimiter) put(contact []byte, c contactState, now time.Time) {
	if _, known := p.contacts[string(contact)]; !known && len(p.contacts) >= p.sweepAt {
		if now.Sub(p.swept) < sweepInterval && len(p.contacts) >= maxContacts {
			return
		}
		p.swept = now
		for k, one := range p.contacts {
			if !one.debtUntil.After(now) && !one.nextTurn.After(now) && !one.blocked.After(now) {
				delete(p.contacts, k)
			}
		}
		p.sweepAt = min(max(2*len(p.contacts), 1024), maxContacts)
		if len(p.contacts) >= maxContacts {
			return
		}
	}
	p.contacts[string(contact)] = c
}
