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
	// idleLimit is how long a connection is kept unused.
	idleLimit = 90 * time.Second
	// keepAlive is after how long a silent connection is probed.
	keepAlive = 30 * time.Second
	// fresh is for how long a connection that lay idle is used unasked. Later the
	// receiver may have closed it meanwhile: a look costs a system call, a request written
	// to a closed connection is one of which no one can tell.
	fresh = 10 * time.Millisecond
)

// lines are the connections to the receiver that are kept between messages. How
// many there can be is bounded by who calls.
type lines struct {
	addr    string
	timeout time.Duration
	dialer  net.Dialer
	tls     *tls.Config // nil: none

	mu     sync.Mutex // guards what follows
	idle   []*line    // the longest unused first
	timer  *time.Timer
	closed bool
}

func newLines(u *url.URL, timeout time.Duration) *lines {
	port := u.Port()
	p := &lines{timeout: timeout, dialer: net.Dialer{KeepAlive: keepAlive}}
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
func (p *lines) exchange(ctx context.Context, request []byte, deadline time.Time) (*http.Response, []byte, fault) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fault{err: err}
	}
	l := p.get(deadline)
	if l == nil {
		var f fault
		if l, f = p.dial(ctx, deadline); f.err != nil {
			return nil, nil, f
		}
	}
	resp, body, again, f := l.exchange(ctx, request)
	if again {
		p.put(l)
	} else {
		_ = l.Close() // what it was good for is known
	}
	return resp, body, f
}

// dial makes a connection that has until the deadline.
func (p *lines) dial(ctx context.Context, deadline time.Time) (*line, fault) {
	within, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	failed := func(err error) (*line, fault) {
		return nil, fault{err: err, late: ctx.Err() == nil && errors.Is(within.Err(), context.DeadlineExceeded)}
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
	return newLine(conn, raw), fault{}
}

// get is the connection that was used last, with a new deadline, nil if none is
// kept that the receiver has not closed.
func (p *lines) get(deadline time.Time) *line {
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
		if l.SetDeadline(deadline) == nil && (time.Since(l.used) < fresh || quiet(l.raw)) {
			return l
		}
		_ = l.Close() // the receiver did so before
	}
}

// put keeps a connection for the next message.
func (p *lines) put(l *line) {
	l.used = time.Now()
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

// sweep closes the connections that have been idle for long.
func (p *lines) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now, old := time.Now(), 0
	for old < len(p.idle) && now.Sub(p.idle[old].used) >= idleLimit {
		_ = p.idle[old].Close()
		old++
	}
	p.idle = slices.Delete(p.idle, 0, old)
	p.timer = nil
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(idleLimit-now.Sub(p.idle[0].used), p.sweep)
	}
}

// close closes the connections that are kept, and from then on each one that comes back.
func (p *lines) close() {
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
