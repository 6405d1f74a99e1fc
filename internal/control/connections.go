package control

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits on HTTP connections.
const (
	maxConnections    = 512
	maxOverSocket     = 128
	maxPerAddress     = 64 // beyond loopback and the trusted proxies
	spareConnections  = 64 // never taken by authenticated callers: kept for health, readiness and logins
	filesPerUse       = 2  // at least half of the file descriptors are for store, inboxes, channels and socket
	limitedLogEvery   = time.Minute
	wantedDescriptors = maxConnections * filesPerUse
)

// connectionLimiter is a listener with a limited number of open connections.
//
// A caller that hasn't authenticated can't occupy a connection: when all are in
// use, a new one replaces the oldest unauthenticated one. So a flood of idle
// connections stops neither health checks nor callers with the token.
type connectionLimiter struct {
	net.Listener
	limit  int
	exempt func(netip.Addr) bool // from the limit per address
	owner  func(net.Conn) string // returns whose a connection is, among whom the limit is shared; nil: nobody's
	log    *slog.Logger

	open    prometheus.Gauge
	refused prometheus.Counter

	mu            sync.Mutex     // guards all below
	strangers     *list.List     // of *limitedConn that aren't authenticated, oldest first
	byOwner       map[string]int // of these, how many each owner has
	authenticated int
	byAddress     map[netip.Addr]int
	loggedAt      time.Time
}

// limitedConn is one connection of a connectionLimiter.
type limitedConn struct {
	net.Conn
	limiter *connectionLimiter
	address netip.Addr
	owner   string
	place   *list.Element // in limiter.strangers, nil once authenticated or closed
	closed  bool
}

// connectionLimit returns how many HTTP connections the file descriptors allow.
func connectionLimit(log *slog.Logger) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur >= wantedDescriptors {
		return maxConnections
	}
	limit := max(int(files.Cur)/filesPerUse, spareConnections+1)
	log.Warn("the limit of file descriptors is low: HTTP accepts fewer connections", "descriptors", files.Cur, "connections", limit,
		"wanted", wantedDescriptors, "advice", "raise LimitNOFILE= of the unit, or ulimit -n")
	return limit
}

func newConnectionLimiter(limit int, exempt func(netip.Addr) bool, log *slog.Logger) *connectionLimiter {
	return &connectionLimiter{limit: limit, exempt: exempt, log: log, strangers: list.New(), byOwner: map[string]int{}, byAddress: map[netip.Addr]int{},
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "campaignd_http_connections", Help: "Open connections of HTTP.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "campaignd_http_connections_refused_total",
			Help: "Connections of HTTP that were closed because there were too many, in all or from one address.",
		})}
}

// Accept implements net.Listener.
func (l *connectionLimiter) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := l.admit(conn); admitted != nil {
			return admitted, nil
		}
		conn.Close()
	}
}

// admit counts a connection, or returns nil if there are too many.
func (l *connectionLimiter) admit(conn net.Conn) net.Conn {
	c := &limitedConn{Conn: conn, limiter: l}
	if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.address = at.Addr().Unmap()
	}
	if l.owner != nil {
		c.owner = l.owner(conn)
	}
	l.mu.Lock()
	if l.byAddress[c.address] >= maxPerAddress && !c.address.IsLoopback() && !l.exempt(c.address) {
		l.full(c.address, "from one address")
		l.mu.Unlock()
		return nil
	}
	var oldest *limitedConn
	if l.strangers.Len()+l.authenticated >= l.limit {
		l.full(c.address, "in all")
		oldest = l.replaceable(c.owner)
		l.release(oldest)
	}
	c.place = l.strangers.PushBack(c)
	l.byOwner[c.owner]++
	l.byAddress[c.address]++
	l.open.Inc()
	l.mu.Unlock()
	if oldest != nil {
		oldest.Conn.Close()
	}
	return c
}

// replaceable returns the oldest connection of the owner who will have the most with a new one of
// newcomer. There is one: authenticated callers leave spareConnections free. The caller holds mu.
func (l *connectionLimiter) replaceable(newcomer string) *limitedConn {
	count := func(owner string) int {
		if owner == newcomer {
			return l.byOwner[owner] + 1
		}
		return l.byOwner[owner]
	}
	first := l.strangers.Front()
	found := first.Value.(*limitedConn)
	for e := first.Next(); e != nil; e = e.Next() {
		if c := e.Value.(*limitedConn); count(c.owner) > count(found.owner) {
			found = c
		}
	}
	return found
}

// forgetStranger takes a connection from the unauthenticated ones. The caller holds mu.
func (l *connectionLimiter) forgetStranger(c *limitedConn) {
	l.strangers.Remove(c.place)
	c.place = nil
	if l.byOwner[c.owner]--; l.byOwner[c.owner] <= 0 {
		delete(l.byOwner, c.owner)
	}
}

// full counts and logs a connection over a limit. The caller holds mu.
func (l *connectionLimiter) full(address netip.Addr, which string) {
	l.refused.Inc()
	if now := time.Now(); now.Sub(l.loggedAt).Abs() >= limitedLogEvery {
		l.loggedAt = now
		l.log.Warn("too many connections", "which", which, "newest", address.String())
	}
}

// release stops counting a connection. The caller holds mu.
func (l *connectionLimiter) release(c *limitedConn) {
	if c.closed {
		return
	}
	c.closed = true
	if c.place != nil {
		l.forgetStranger(c)
	} else {
		l.authenticated--
	}
	if l.byAddress[c.address]--; l.byAddress[c.address] <= 0 {
		delete(l.byAddress, c.address)
	}
	l.open.Dec()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.release(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// authenticate protects a connection from being replaced and reports whether it may stay open
// after the answer.
func (c *limitedConn) authenticate() bool {
	l := c.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return false
	}
	if c.place == nil {
		return true
	}
	if l.authenticated >= l.limit-spareConnections {
		return false
	}
	l.forgetStranger(c)
	l.authenticated++
	return true
}

type connKey struct{}

// limitSocket limits the connections of the socket: its callers are trusted, but a script of theirs
// may leave connections open. A new one replaces the oldest of the user who has the most, so that
// nobody can end the commands of others.
func limitSocket(socket net.Listener, log *slog.Logger) net.Listener {
	l := newConnectionLimiter(maxOverSocket, func(netip.Addr) bool { return true }, log)
	l.Listener, l.owner = socket, peerUser
	return l
}

// withConn keeps a request's connection for the guard.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*limitedConn); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// mayStay reports whether the connection of an authenticated request may stay open after the answer.
func mayStay(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*limitedConn)
	return !ok || c.authenticate()
}
