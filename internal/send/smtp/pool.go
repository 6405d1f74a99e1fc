package smtp

import (
	"sync"
	"time"
)

const (
	// idleLimit is how long a connection is kept unused: servers close theirs after
	// a minute or more, and count those that linger.
	idleLimit = 30 * time.Second
	// checkAfter is how long a connection may have lain idle and still be used unasked.
	checkAfter = 2 * time.Second
	// farewell is how long a QUIT may take.
	farewell = 2 * time.Second
)

// pool keeps connections between messages. It never makes one; how many there can be is
// bounded by Channel.slots.
type pool struct {
	mu     sync.Mutex // guards what follows
	idle   []*conn    // the longest unused first
	timer  *time.Timer
	closed bool
}

// get is the connection that was used last, nil if none is kept. So in a quiet hour
// one stays in use and the others age.
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

// sweep ends the connections that have been idle for long.
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

// close ends the connections that are kept, and from then on each one that comes back.
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

// quitAll says goodbye on all connections at once.
func quitAll(conns []*conn) {
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(c.quit)
	}
	wg.Wait()
}
