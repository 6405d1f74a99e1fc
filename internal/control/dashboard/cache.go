package dashboard

import (
	"sync"
	"time"
)

// cache keeps answers for a moment, so that ten viewers of a page cost as much as
// one. The zero cache is ready to use.
type cache struct {
	mu      sync.Mutex // guards entries
	entries map[string]*entry
}

type entry struct {
	mu    sync.Mutex // held during the fetch; guards all below
	until time.Time
	value any
}

// maxEntries limits the cache; it is cleared when it is full.
const maxEntries = 256

// costFactor multiplies the time that a fetch took: an answer is kept at least that
// long, so that expensive answers are fetched rarely.
const costFactor = 20

// cached returns the answer for key if it is at most keep old, else it fetches it.
// Errors aren't kept.
func cached[T any](m *cache, key string, keep time.Duration, fetch func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.entries == nil || len(m.entries) >= maxEntries {
		m.entries = map[string]*entry{}
	}
	e := m.entries[key]
	if e == nil {
		e = &entry{}
		m.entries[key] = e
	}
	m.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	begun := time.Now()
	if value, ok := e.value.(T); ok && begun.Before(e.until) {
		return value, nil
	}
	value, err := fetch()
	if err != nil {
		var none T
		return none, err
	}
	e.value, e.until = value, time.Now().Add(max(keep, costFactor*time.Since(begun)))
	return value, nil
}

// clear forgets all answers, after a change.
func (m *cache) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = nil
}
