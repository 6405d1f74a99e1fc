package httppost

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	// idleLimit closes a connection that was unused for so long.
	idleLimit = 90 * time.Second
	// keepAlive is the interval of TCP probes.
	keepAlive = 30 * time.Second
	// freshFor is the idle time up to which a connection is used without a check that
	// it is still open. The check costs a system call; without it, the outcome of a request
	// written to a closed connection is unknown.
	freshFor = 10 * time.Millisecond
)

// pool keeps connections to the receiver between messages. Its callers' number
// bounds the number of connections.
type pool struct {
	addr   string
	dialer net.Dialer
	tls    *tls.Config // nil: none

	mu     sync.Mutex  // guards the fields below
	idle   []*keptConn // the longest unused first
	timer  *time.Timer
	closed bool
}

func newPool(u *url.URL, config *tls.Config) *pool {
	port := u.Port()
	p := &pool{dialer: net.Dialer{KeepAlive: keepAlive}}
	switch {
	case u.Scheme == "https":
		p.tls = config
		if port == "" {
			port = "443"
		}
	case port == "":
		port = "80"
	}
	p.addr = net.JoinHostPort(u.Hostname(), port)
	return p
}

// exchange makes one request over a kept connection, or a new one if there is none or the
// receiver turns out to have closed it.
func (p *pool) exchange(ctx context.Context, request []byte, deadline time.Time) (*http.Response, []byte, Failure) {
	if c := p.get(deadline); c != nil {
		resp, body, f := p.exchangeOver(ctx, c, request)
		if f.Err == nil || f.Reach != NotReached || ctx.Err() != nil || f.TimedOut {
			return resp, body, f
		}
	}
	c, f := p.dial(ctx, deadline)
	if f.Err != nil {
		return nil, nil, f
	}
	return p.exchangeOver(ctx, c, request)
}

// exchangeOver makes one request over c.
func (p *pool) exchangeOver(ctx context.Context, c *keptConn, request []byte) (*http.Response, []byte, Failure) {
	resp, body, reusable, f := c.exchange(ctx, request)
	if reusable {
		p.put(c)
	} else {
		_ = c.Close() // the connection isn't used again
	}
	return resp, body, f
}

// dial makes a connection with that deadline.
func (p *pool) dial(ctx context.Context, deadline time.Time) (*keptConn, Failure) {
	within, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	failed := func(err error) (*keptConn, Failure) {
		return nil, Failure{Err: err, TimedOut: ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded)}
	}
	tcp, err := p.dialer.DialContext(within, "tcp", p.addr)
	if err != nil {
		return failed(err)
	}
	raw := &countingConn{Conn: tcp}
	var conn net.Conn = raw
	if p.tls != nil {
		secure := tls.Client(raw, p.tls)
		if err := secure.HandshakeContext(within); err != nil {
			_ = tcp.Close()
			return failed(err)
		}
		conn = secure
	}
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return failed(err)
	}
	return newConn(conn, raw), Failure{}
}

// get returns the connection that was used last, with a new deadline, or nil if no
// kept connection is still open.
func (p *pool) get(deadline time.Time) *keptConn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if c.SetDeadline(deadline) == nil && (time.Since(c.idleSince) < freshFor || stillOpen(c.raw.Conn)) {
			return c
		}
		_ = c.Close() // the receiver has closed it
	}
}

// put keeps a connection for the next message.
func (p *pool) put(c *keptConn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleLimit, p.sweep)
	}
}

// sweep closes connections that were idle for idleLimit.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].idleSince) >= idleLimit {
		_ = p.idle[old].Close()
		old++
	}
	p.idle = slices.Delete(p.idle, 0, old)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(idleLimit-now.Sub(p.idle[0].idleSince), p.sweep)
	}
}

// close closes the kept connections, and later each one that is returned.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
