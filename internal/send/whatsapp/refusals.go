package whatsapp

import (
	"maps"
	"sync"
	"time"

	"campaignd/internal/config"
)

// refusedFor is the time after 131049 in which a contact isn't sent that template again.
const refusedFor = 24 * time.Hour

// refusals remembers the contacts and templates that Meta refused for a day (131049), so that
// they aren't tried again within 24 h. The memory is limited and ends with the driver;
// durable, if set, outlives it.
type refusals struct {
	durable func(template string) config.ContactCounter // nil: none

	mu    sync.Mutex // guards the fields below
	until map[string]time.Time
	swept time.Time
}

func newRefusals(durable func(template string) config.ContactCounter) *refusals {
	return &refusals{durable: durable, until: map[string]time.Time{}}
}

func refusalKey(contact, template []byte) string { return string(contact) + " " + string(template) }

// add records that contact must not get template for a day. After an error only the memory has it.
func (r *refusals) add(contact, template []byte, now time.Time) error {
	r.remember(contact, template, now)
	if r.durable == nil {
		return nil
	}
	_, _, err := r.durable(string(template)).Allow(contact, now.UTC().Round(0))
	return err
}

func (r *refusals) remember(contact, template []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) >= maxContacts && now.Sub(r.swept) >= sweepInterval {
		r.swept = now
		maps.DeleteFunc(r.until, func(_ string, until time.Time) bool { return !until.After(now) })
	}
	if len(r.until) < maxContacts {
		r.until[refusalKey(contact, template)] = now.Add(refusedFor)
	}
}

// active reports whether contact must not get template yet. If that can't be read, it returns
// false and Meta decides.
func (r *refusals) active(contact, template []byte, now time.Time) bool {
	if r.remembered(contact, template, now) {
		return true
	}
	if r.durable == nil {
		return false
	}
	refused, err := r.durable(string(template)).Counts(contact, now.UTC().Round(0))
	return err == nil && refused
}

func (r *refusals) remembered(contact, template []byte, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) == 0 {
		return false
	}
	return r.until[refusalKey(contact, template)].After(now)
}
