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
	if _, err := first.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the oldest connection over the limit is still open: %v", err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}
