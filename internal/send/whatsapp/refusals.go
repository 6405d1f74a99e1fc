package whatsapp

import (
	"sync"
	"time"
)

// refusedFor is how long a contact is not offered a template again after 131049.
const refusedFor = 24 * time.Hour

// refusals knows whom Meta didn't want to have a template today (131049), so that it isn't asked
// again within 24 h. What is in memory is bounded and goes with the driver; kept is asked besides.
type refusals struct {
	kept Refusals // nil: none

	mu    sync.Mutex // guards what follows
	until map[string]time.Time
	swept time.Time
}

func newRefusals(kept Refusals) *refusals {
	return &refusals{kept: kept, until: map[string]time.Time{}}
}

func refusalKey(contact, template []byte) string { return string(contact) + " " + string(template) }

// add notes that contact must not get template again for a day. An error says that only the memory has it.
func (r *refusals) add(contact, template []byte, now time.Time) error {
	r.remember(contact, template, now)
	if r.kept == nil {
		return nil
	}
	return r.kept.Refuse(contact, template, now.UTC().Round(0))
}

func (r *refusals) remember(contact, template []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) >= mostContacts && now.Sub(r.swept) >= sweepPause {
		r.swept = now
		for k, until := range r.until {
			if !until.After(now) {
				delete(r.until, k)
			}
		}
	}
	if len(r.until) < mostContacts {
		r.until[refusalKey(contact, template)] = now.Add(refusedFor)
	}
}

// active reports whether contact must not get template yet. Where that can't be read, Meta is
// asked and decides.
func (r *refusals) active(contact, template []byte, now time.Time) bool {
	if r.remembered(contact, template, now) {
		return true
	}
	if r.kept == nil {
		return false
	}
	refused, err := r.kept.Refused(contact, template, now.UTC().Round(0))
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
