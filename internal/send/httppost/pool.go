package httppost

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"campaignd/internal/send/idle"
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
	// distrustFor is how long connections are used once after the receiver has closed one right after
	// its response, unannounced. It may close the next one while a request is on its way, and then
	// nobody can tell whether the request was read.
	distrustFor = 10 * time.Second
)

// pool makes connections to the receiver and keeps them between messages.
type pool struct {
	addr   string
	dialer net.Dialer
	tls    *tls.Config // nil: none
	idle   idle.Pool[*keptConn]

	distrusted atomic.Pointer[time.Time] // when a connection was last closed right after its response; nil: never
}

func newPool(u *url.URL, config *tls.Config) *pool {
	port := u.Port()
	p := &pool{dialer: net.Dialer{KeepAlive: keepAlive},
		idle: idle.Pool[*keptConn]{Limit: idleLimit, Close: func(c *keptConn) { _ = c.Close() }}}
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
		fresh := time.Since(c.idleSince) < freshFor
		resp, body, f := p.exchangeOver(ctx, c, request)
		if f.Err != nil && fresh && !f.TimedOut && ctx.Err() == nil {
			now := time.Now()
			p.distrusted.Store(&now)
		}
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

// get returns a kept connection that is still open, with a new deadline, or nil.
func (p *pool) get(deadline time.Time) *keptConn {
	for {
		c, ok := p.idle.Get()
		if !ok {
			return nil
		}
		if !p.distrusts() && c.SetDeadline(deadline) == nil && (time.Since(c.idleSince) < freshFor || stillOpen(c.raw.Conn)) {
			return c
		}
		_ = c.Close() // the receiver has closed it, or may do so at any moment
	}
}

// distrusts reports whether the receiver closes connections right after a response.
func (p *pool) distrusts() bool {
	at := p.distrusted.Load()
	return at != nil && time.Since(*at) < distrustFor
}

// put keeps a connection for the next message.
func (p *pool) put(c *keptConn) {
	if p.distrusts() {
		_ = c.Close()
		return
	}
	c.idleSince = time.Now()
	p.idle.Put(c)
}
