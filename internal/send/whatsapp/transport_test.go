package whatsapp

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"campaignd/internal/send"
)

// Consecutive messages use one connection.
func TestConnectionIsNotReused(t *testing.T) {
	l := listen(t)
	accepted := make(chan struct{}, 100)
	go serve(l, func(c net.Conn) {
		accepted <- struct{}{}
		buf := make([]byte, 64<<10)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			const reply = `{"messages":[{"id":"wamid.x"}]}`
			if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n" + reply)); err != nil {
				return
			}
		}
	})
	c := driver(t, "http://"+l.Addr().String(), nil)
	for range 20 {
		if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictSent || res.ProviderID != "wamid.x" {
			t.Fatalf("%+v", res)
		}
	}
	if len(accepted) != 1 {
		t.Errorf("%d connections for 20 messages", len(accepted))
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serve calls handle with each connection until the listener is closed.
func serve(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			handle(c)
		}()
	}
}

// Written bytes are counted, and nothing is written after stopWriting.
func TestCountingConn(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &countingConn{Conn: near}
	go func() { _, _ = far.Read(make([]byte, 3)); far.Close() }()
	if n, err := c.Write([]byte("12345")); n != 3 || err == nil || c.count() != 3 {
		t.Errorf("wrote %d, %v, counted %d; want 3 of 5", n, err, c.count())
	}
	if got := c.stopWriting(); got != 3 {
		t.Errorf("ended at %d", got)
	}
	if _, err := c.Write([]byte("6")); err == nil || c.count() != 3 {
		t.Errorf("wrote after the end: %v", err)
	}
}

// The outcome of a partly written request is unknown after its timeout. A request that was still
// waiting was not sent.
func TestPartlyWritten(t *testing.T) {
	for taken, want := range map[int]send.Verdict{0: send.VerdictRetry, 1: send.VerdictUnknown} {
		testPartlyWritten(t, taken, want)
	}
}

func testPartlyWritten(t *testing.T, taken int, want send.Verdict) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // a write returns once all of it is read
		go func() { _, _ = io.ReadFull(far, make([]byte, taken)) }()
		c, err := New(Options{BaseURL: "http://example.test", PhoneNumberID: phoneID, Token: token, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return &countingConn{Conn: near}, nil }
		c.transport.Proxy = nil
		if res := attempt(t, c, welcome, contact, 1); res.Verdict != want {
			t.Errorf("%d bytes were taken: %+v", taken, res)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_ = far.Close()
	})
}

// A timeout before there is a connection is retried.
func TestTimeoutBeforeAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{BaseURL: "http://example.test", PhoneNumberID: phoneID, Token: token, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Minute)
			return nil, net.ErrClosed
		}
		c.transport.Proxy = nil
		if res := attempt(t, c, welcome, contact, 1); res.Verdict != send.VerdictRetry || res.Detail != "the request could not be written: nothing within 1s" {
			t.Errorf("%+v", res)
		}
		time.Sleep(time.Minute) // net/http continues a dial for the next request
	})
}
