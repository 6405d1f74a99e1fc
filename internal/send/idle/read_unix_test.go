//go:build unix

package idle

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestReadAfterTheDeadline: after a freeze the deadline is past, and the answer is in the socket's buffer.
func TestReadAfterTheDeadline(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := io.WriteString(server, "answer"); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := Read(conn, p[:1]); n != 1 || err != nil { // by now all of it has arrived
		t.Fatalf("read %d bytes, %v, want 1", n, err)
	}
	if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n, err := Read(conn, p); string(p[:n]) != "nswer" || err != nil {
		t.Errorf("read %q, %v, want the rest of the answer", p[:n], err)
	}
	if n, err := Read(conn, p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v, want nothing and that the deadline is past", p[:n], err)
	}
}
