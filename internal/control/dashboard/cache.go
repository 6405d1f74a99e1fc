package dashboard

import (
	"sync"
	"time"
)

// memory keeps answers for a moment, so that ten people who look at a page cost
// the daemon what one does. The zero memory is ready to use.
type memory struct {
	mu      sync.Mutex // guards entries
	entries map[string]*entry
}

type entry struct {
	mu    sync.Mutex // held while the answer is fetched; guards all below
	until time.Time
	value any
}

// maxEntries is how many answers are kept; more are forgotten all at once.
const maxEntries = 256

// patience is how much longer than it took to fetch an answer is kept at least:
// what is dear is asked for seldom.
const patience = 20

// remember gives the answer for key, fetched at most keep ago, or fetches it.
// Errors are not kept.
func remember[T any](m *memory, key string, keep time.Duration, fetch func() (T, error)) (T, error) {
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
	e.value, e.until = value, time.Now().Add(max(keep, patience*time.Since(begun)))
	return value, nil
}

// forget makes the next look a new one, after something was changed.
func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = nil
}
