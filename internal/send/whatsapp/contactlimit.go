package whatsapp

import (
	"maps"
	"slices"
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
	free := latest(c.blocked, c.debtUntil.Add(-(contactBurst-1)*contactInterval))
	if !free.After(now) && !(first && c.nextTurn.After(now)) {
		c.debtUntil = latest(c.debtUntil, now).Add(contactInterval)
		p.put(contact, c, now)
		return 0
	}
	c.nextTurn = latest(c.nextTurn.Add(contactInterval), free, now)
	p.put(contact, c, now)
	return max(c.nextTurn.Sub(now), time.Millisecond)
}

// latest returns the latest of several instants.
func latest(all ...time.Time) time.Time { return slices.MaxFunc(all, time.Time.Compare) }

// block records that Meta accepts no message to contact for wait.
func (p *contactLimiter) block(contact []byte, now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.contacts[string(contact)]
	c.blocked = latest(c.blocked, now.Add(wait))
	p.put(contact, c, now)
}

// put stores c. p.mu is held.
func (p *contactLimiter) put(contact []byte, c contactState, now time.Time) {
	if _, known := p.contacts[string(contact)]; !known && len(p.contacts) >= p.sweepAt {
		if now.Sub(p.swept) < sweepInterval && len(p.contacts) >= maxContacts {
			return
		}
		p.swept = now
		maps.DeleteFunc(p.contacts, func(_ string, one contactState) bool {
			return !latest(one.debtUntil, one.nextTurn, one.blocked).After(now)
		})
		p.sweepAt = min(max(2*len(p.contacts), 1024), maxContacts)
		if len(p.contacts) >= maxContacts {
			return
		}
	}
	p.contacts[string(contact)] = c
}
