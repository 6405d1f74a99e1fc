package dashboard

import (
	"html/template"
	"reflect"
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
// long, so that what is shown takes less than a fiftieth of a core.
const costFactor = 60

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

// partCache keeps what each part was last rendered from, so that only what has changed is rendered.
// The zero partCache is ready to use.
type partCache struct {
	mu   sync.Mutex // guards last
	last map[string]rendered
}

type rendered struct {
	data any
	html template.HTML
}

// maxParts limits the cache; it is cleared when it is full.
const maxParts = 4096

// get returns the part's HTML if it was last rendered from equal data.
func (c *partCache) get(id string, data any) (template.HTML, bool) {
	c.mu.Lock()
	one, ok := c.last[id]
	c.mu.Unlock()
	if !ok || !reflect.DeepEqual(one.data, data) {
		return "", false
	}
	return one.html, true
}

func (c *partCache) put(id string, data any, html template.HTML) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || len(c.last) >= maxParts {
		c.last = map[string]rendered{}
	}
	c.last[id] = rendered{data, html}
}
