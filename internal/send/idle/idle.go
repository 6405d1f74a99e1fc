// Package idle keeps connections between messages. The drivers that speak to one server share it. It
// makes no connections and bounds only their age: the number of its callers bounds their number. Read is
// for the answers of these servers.
package idle

import (
	"slices"
	"sync"
	"time"
)

// Pool keeps idle connections and closes those that nobody uses. Its zero value isn't usable: Limit
// and Close are required.
type Pool[C any] struct {
	Limit time.Duration // how long a connection may be idle
	Close func(C)       // ends a connection; it may take a moment and is called by many goroutines at once

	mu    sync.Mutex // guards the fields below
	idle  []kept[C]  // the longest unused first
	timer *time.Timer
	ended bool
}

type kept[C any] struct {
	conn  C
	since time.Time
}

// Get returns the connection that was used last. In a quiet hour one connection stays in use and
// the others reach Limit. It returns false if there is none.
func (p *Pool[C]) Get() (conn C, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return conn, false
	}
	conn = p.idle[last].conn
	p.idle = slices.Delete(p.idle, last, last+1)
	return conn, true
}

// Put keeps a connection for the next message.
func (p *Pool[C]) Put(conn C) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		p.Close(conn)
		return
	}
	defer p.mu.Unlock()
	p.idle = append(p.idle, kept[C]{conn, time.Now()})
	if p.timer == nil {
		p.timer = time.AfterFunc(p.Limit, p.sweep)
	}
}

// sweep closes the connections that were idle for Limit.
func (p *Pool[C]) sweep() {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].since) >= p.Limit {
		old++
	}
	gone := slices.Clone(p.idle[:old])
	p.idle = slices.Delete(p.idle, 0, old)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(p.Limit-now.Sub(p.idle[0].since), p.sweep)
	}
	p.mu.Unlock()
	p.closeAll(gone)
}

// End closes the connections that are kept, and later each one that is put back.
func (p *Pool[C]) End() {
	p.mu.Lock()
	gone := p.idle
	p.idle, p.ended = nil, true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	p.closeAll(gone)
}

// closeAll closes connections in parallel.
func (p *Pool[C]) closeAll(gone []kept[C]) {
	var all sync.WaitGroup
	for _, k := range gone {
		all.Go(func() { p.Close(k.conn) })
	}
	all.Wait()
}
