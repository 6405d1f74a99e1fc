package webhook

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
	addr    string
	timeout time.Duration
	dialer  net.Dialer
	tls     *tls.Config // nil: none

	mu     sync.Mutex  // guards the fields below
	idle   []*keptConn // the longest unused first
	timer  *time.Timer
	closed bool
}

func newPool(u *url.URL, timeout time.Duration) *pool {
	port := u.Port()
	p := &pool{timeout: timeout, dialer: net.Dialer{KeepAlive: keepAlive}}
	switch {
	case u.Scheme == "https":
		p.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}
		if port == "" {
			port = "443"
		}
	case port == "":
		port = "80"
	}
	p.addr = net.JoinHostPort(u.Hostname(), port)
	return p
}

// exchange makes one request over a kept connection, or a new one.
func (p *pool) exchange(ctx context.Context, request []byte, deadline time.Time) (*http.Response, []byte, failure) {
	if err := ctx.Err(); err != nil {
		return nil, nil, failure{err: err}
	}
	l := p.get(deadline)
	if l == nil {
		var f failure
		if l, f = p.dial(ctx, deadline); f.err != nil {
			return nil, nil, f
		}
	}
	resp, body, again, f := l.exchange(ctx, request)
	if again {
		p.put(l)
	} else {
		_ = l.Close() // the connection isn't used again
	}
	return resp, body, f
}

// dial makes a connection with that deadline.
func (p *pool) dial(ctx context.Context, deadline time.Time) (*keptConn, failure) {
	within, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	failed := func(err error) (*keptConn, failure) {
		return nil, failure{err: err, timedOut: ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded)}
	}
	raw, err := p.dialer.DialContext(within, "tcp", p.addr)
	if err != nil {
		return failed(err)
	}
	conn := raw
	if p.tls != nil {
		secure := tls.Client(raw, p.tls)
		if err := secure.HandshakeContext(within); err != nil {
			_ = raw.Close()
			return failed(err)
		}
		conn = secure
	}
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return failed(err)
	}
	return newConn(conn, raw), failure{}
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
		l := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if l.SetDeadline(deadline) == nil && (time.Since(l.idleSince) < freshFor || stillOpen(l.raw)) {
			return l
		}
		_ = l.Close() // the receiver has closed it
	}
}

// put keeps a connection for the next message.
func (p *pool) put(l *keptConn) {
	l.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = l.Close()
		return
	}
	p.idle = append(p.idle, l)
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
	for _, l := range p.idle {
		_ = l.Close()
	}
	p.idle, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}
