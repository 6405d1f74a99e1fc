package smtp

import (
	"sync"
	"time"
)

const (
	// idleLimit closes a connection that was unused for so long. Servers close theirs after
	// a minute or more, and limit their number.
	idleLimit = 30 * time.Second
	// checkIdleAfter is the idle time after which a connection is checked before use.
	checkIdleAfter = 2 * time.Second
	// quitTimeout limits a QUIT.
	quitTimeout = 2 * time.Second
)

// pool keeps connections between messages. Channel.permits bounds their number.
type pool struct {
	mu     sync.Mutex // guards the fields below
	idle   []*conn    // the longest unused first
	timer  *time.Timer
	closed bool
}

// get returns the connection that was used last, or nil. In a quiet hour one connection stays
// in use and the others reach idleLimit.
func (p *pool) get() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	last := len(p.idle) - 1
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

// put keeps c for the next message.
func (p *pool) put(c *conn) {
	c.used = time.Now()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		c.quit()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleLimit, p.sweep)
	}
	p.mu.Unlock()
}

// sweep closes connections that were idle for idleLimit.
func (p *pool) sweep() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].used) >= idleLimit {
		old++
	}
	gone := append([]*conn(nil), p.idle[:old]...)
	p.idle = append([]*conn(nil), p.idle[old:]...)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(idleLimit-now.Sub(p.idle[0].used), p.sweep)
	}
	p.mu.Unlock()
	quitAll(gone)
}

// close closes the kept connections, and later each one that is returned.
func (p *pool) close() {
	p.mu.Lock()
	gone := p.idle
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	quitAll(gone)
}

// quitAll quits all connections in parallel.
func quitAll(conns []*conn) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(c.quit)
	}
	wg.Wait()
}
