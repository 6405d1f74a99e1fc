package sendtest

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// Resets starts a server that sends answers, each after a line from the client but the first, reads one line
// more and resets the connection, so that the rest of what the client writes is lost. It takes one connection.
func Resets(t *testing.T, answers ...string) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		in := bufio.NewReader(c)
		for i, answer := range answers {
			if i > 0 {
				_, _ = in.ReadString('\n')
			}
			_, _ = io.WriteString(c, answer)
		}
		_, _ = in.ReadString('\n')
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().(*net.TCPAddr)
}
