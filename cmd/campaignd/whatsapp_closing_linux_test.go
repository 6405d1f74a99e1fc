package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"campaignd/internal/send/whatsapp/graphfake"
)

// closingListener closes each connection with its response, without announcing it.
type closingListener struct {
	net.Listener
	closed *atomic.Int64
}

func (l closingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &closingConn{Conn: c, closed: l.closed}, nil
}

// closingConn sends the end of the connection with the response. If it came later, the next request could be
// acknowledged and not read, and nobody could tell that from one that was read.
type closingConn struct {
	net.Conn
	closed *atomic.Int64
}

func (c *closingConn) Write(p []byte) (int, error) {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cork error
	if err := raw.Control(func(fd uintptr) { cork = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1) }); err != nil || cork != nil {
		return 0, errors.Join(err, cork)
	}
	n, err := c.Conn.Write(p)
	c.closed.Add(1)
	return n, errors.Join(err, c.Conn.Close())
}

// TestConnectionsThatMetaClosesLoseNothing: Meta closes each connection with its answer, without a word, so that the
// connection may be in the pool of kept ones. Every message is accepted once, and none is unknown.
func TestConnectionsThatMetaClosesLoseNothing(t *testing.T) {
	var closed atomic.Int64
	s := newWAShop(t, func(l net.Listener) net.Listener { return closingListener{l, &closed} })
	s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"))
	s.write("campaigns/7.json", welcomeCampaign)
	s.start()
	const recipients = 1500
	var rows strings.Builder
	for i := range recipients {
		fmt.Fprintf(&rows, "34666%06d,n%d\n", i, i)
	}
	wantText(t, "the report", s.drop("spring", 7, rows.String()), "Done: all 1,500 messages were sent.")
	accepted := s.fake.Accepted()
	if len(accepted) != recipients {
		t.Errorf("Meta accepted %d messages; want %d", len(accepted), recipients)
	}
	for key, times := range accepted {
		if times != 1 {
			t.Errorf("Meta accepted %s %d times; want once", key, times)
		}
	}
	if n := closed.Load(); n < recipients/4 {
		t.Errorf("only %d connections were closed; want hundreds", n)
	}
	if faults := s.fake.Faults(); len(faults) > 0 {
		t.Errorf("Meta finds faults: %q", faults)
	}
}
