package control

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// addressedConn is a connection from an address.
type addressedConn struct {
	net.Conn
	from   string
	closed bool
}

func (c *addressedConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}
func (c *addressedConn) Close() error { c.closed = true; return nil }

func newTestLimiter(limit int) *connectionLimiter {
	proxy := netip.MustParseAddr("10.0.0.5")
	return newConnectionLimiter(limit, func(a netip.Addr) bool { return a == proxy }, slog.New(slog.DiscardHandler))
}

// TestIdleConnectionsStopNobody: a flood of idle connections replaces its own, never those of authenticated callers.
func TestIdleConnectionsStopNobody(t *testing.T) {
	l := newTestLimiter(spareConnections + 2)
	owner := &addressedConn{from: "127.0.0.1:1"}
	admitted := l.admit(owner).(*limitedConn)
	if !admitted.authenticate() {
		t.Fatal("the owner's connection may not stay")
	}
	var flood []*addressedConn
	for range 1300 {
		c := &addressedConn{from: "127.0.0.1:2"}
		if l.admit(c) == nil {
			t.Fatal("a new connection was refused")
		}
		flood = append(flood, c)
	}
	if owner.closed {
		t.Error("the flood closed the owner's connection")
	}
	open := 0
	for _, c := range flood {
		if !c.closed {
			open++
		}
	}
	if want := spareConnections + 1; open != want {
		t.Errorf("%d connections of the flood are open, want %d", open, want)
	}
	if got, want := testutil.ToFloat64(l.open), float64(spareConnections+2); got != want {
		t.Errorf("the metric says %g open, want %g", got, want)
	}
	admitted.Close()
	admitted.Close()
	if got, want := testutil.ToFloat64(l.open), float64(spareConnections+1); got != want {
		t.Errorf("after a close the metric says %g open, want %g", got, want)
	}
}

// TestAuthenticatedCallersLeaveSpareConnections: callers with the token can't lock out health checks.
func TestAuthenticatedCallersLeaveSpareConnections(t *testing.T) {
	l := newTestLimiter(spareConnections + 2)
	for i := range 5 {
		stays := l.admit(&addressedConn{from: "127.0.0.1:1"}).(*limitedConn).authenticate()
		if want := i < 2; stays != want {
			t.Errorf("connection %d may stay: %t, want %t", i, stays, want)
		}
	}
}

func TestConnectionsOfOneAddress(t *testing.T) {
	for from, want := range map[string]int{"192.0.2.7:1": maxPerAddress, "127.0.0.1:1": 100, "[::ffff:127.0.0.1]:1": 100, "10.0.0.5:1": 100} {
		l, admitted := newTestLimiter(maxConnections), 0
		for range 100 {
			if l.admit(&addressedConn{from: from}) != nil {
				admitted++
			}
		}
		if admitted != want {
			t.Errorf("%s: %d of 100 connections, want %d", from, admitted, want)
		}
	}
}

// TestWrongTokensWait: guesses are slow and logged once a minute; the caller's address comes from a trusted proxy only.
func TestWrongTokensWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		wrong := newWrongTokens(slog.New(slog.NewTextHandler(&log, nil)))
		r := httptest.NewRequest("GET", "/v1/status", nil)
		begin := time.Now()
		const tries = 1205
		for range tries {
			wrong.refuse(r, "192.0.2.7")
		}
		if took := time.Since(begin); took != 120*time.Second {
			t.Errorf("%d wrong tokens took %s, want 2m", tries, took)
		}
		if got := testutil.ToFloat64(wrong.counter); got != tries {
			t.Errorf("counted %g, want %d", got, tries)
		}
		if got := strings.Count(log.String(), "\n"); got < 2 || got > 3 {
			t.Errorf("%d log lines in two minutes:\n%s", got, log.String())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin = time.Now()
		wrong.refuse(r.WithContext(ctx), "192.0.2.7")
		if took := time.Since(begin); took != 0 {
			t.Errorf("a caller that has disconnected was kept for %s", took)
		}
	})
}

func TestClientAddress(t *testing.T) {
	s := New(panicService{}, Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, test := range []struct{ peer, forwarded, want string }{
		{"192.0.2.7:1", "", "192.0.2.7"},
		{"192.0.2.7:1", "203.0.113.9", "192.0.2.7"}, // not a trusted proxy
		{"10.0.0.5:1", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.5:1", "198.51.100.1, 203.0.113.9, 10.0.0.6", "203.0.113.9"},
		{"10.0.0.5:1", "nonsense", "10.0.0.5"},
		{"10.0.0.5:1", "", "10.0.0.5"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.peer
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := s.clientAddress(r); got != test.want {
			t.Errorf("%s for %q: got %q, want %q", test.peer, test.forwarded, got, test.want)
		}
	}
}
