package control

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Connections that are left open don't keep the newest caller of the socket out.
func TestSocketConnectionsAreLimited(t *testing.T) {
	inner, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := limitSocket(inner, slog.New(slog.DiscardHandler))
	var first net.Conn
	for i := range maxOverSocket + 1 {
		conn, err := net.Dial("unix", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i == 0 {
			first = conn
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer accepted.Close()
	}
	if err := first.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	switch _, err := first.Read(make([]byte, 1)); {
	case err == nil:
		t.Error("the oldest connection over the limit is still open: got no error")
	case isTimeout(err):
		t.Error("the oldest connection over the limit is still open: isTimeout(err) = true, want false")
	}
}

// A user who floods the socket replaces their own connections, not another user's older one.
func TestFloodOfOneUserEndsNoCommandOfAnother(t *testing.T) {
	l := limitSocket(nil, slog.New(slog.DiscardHandler)).(*connectionLimiter)
	owner := "watcher"
	l.owner = func(net.Conn) string { return owner }
	admit := func() (ours, theirs net.Conn) {
		ours, theirs = net.Pipe()
		t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
		return l.admit(ours), theirs
	}
	watching, _ := admit()
	owner = "flood"
	_, first := admit()
	for range 3 * maxOverSocket {
		admit()
	}
	if watching.(*limitedConn).closed {
		t.Error("the other user's connection was replaced")
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the flood's oldest connection is still open")
	}
	if n := l.strangers.Len(); n != maxOverSocket {
		t.Errorf("%d connections are open, want %d", n, maxOverSocket)
	}
	// The limit is shared: when both have half, each replaces their own.
	owner = "watcher"
	for range maxOverSocket {
		admit()
	}
	if got := l.byOwner["flood"]; got != maxOverSocket/2 {
		t.Errorf("the flood has %d connections left, want half", got)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}
