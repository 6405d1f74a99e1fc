package httppost

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"campaignd/internal/send/idle"
)

// keptConn is one kept connection to the receiver. It writes a request, then reads
// its response. net/http's transport uses two more goroutines per connection, whose
// four hand-overs were half of a message's cost (docs/decisions/0040).
type keptConn struct {
	net.Conn
	raw        *countingConn // the TCP connection under TLS, or the same as Conn
	reader     *bufio.Reader
	readBudget int       // bytes of the response that may still be read
	idleSince  time.Time // when it was returned to the pool
}

// countingConn counts the bytes that were written to the network.
type countingConn struct {
	net.Conn
	written int64
}

// Read implements io.Reader.
func (c *countingConn) Read(p []byte) (int, error) { return idle.Read(c.Conn, p) }

// Write implements io.Writer.
func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written += int64(n)
	return n, err
}

// maxInterim limits the 1xx responses before the final one.
const maxInterim = 5

var errTooLong = errors.New("the response is too long")

func newConn(conn net.Conn, raw *countingConn) *keptConn {
	c := &keptConn{Conn: conn, raw: raw}
	c.reader = bufio.NewReader(c)
	return c
}

// Read implements io.Reader. It returns errTooLong beyond the response's limit.
func (c *keptConn) Read(p []byte) (int, error) {
	if c.readBudget <= 0 {
		return 0, errTooLong
	}
	n, err := c.Conn.Read(p[:min(len(p), c.readBudget)])
	c.readBudget -= n
	return n, err
}

// exchange writes a request and reads its response, within the connection's
// deadline. reusable reports whether the connection can be reused.
func (c *keptConn) exchange(ctx context.Context, request []byte) (resp *http.Response, body []byte, reusable bool, f Failure) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // a past deadline ends reads and writes at once
	defer func() { reusable = stop() && reusable }()
	before := c.raw.written
	if _, err := c.Write(request); err != nil {
		return nil, nil, false, c.failed(ctx, err, before, false)
	}
	resp, err := c.readResponse()
	if err != nil {
		return nil, nil, false, c.failed(ctx, err, before, true)
	}
	c.readBudget = 2 * bodyLimit // chunked encoding adds bytes
	body, whole := readBody(resp)
	// The body isn't closed: that would read the rest of a long one.
	reusable = whole && !resp.Close && c.reader.Buffered() == 0 && resp.StatusCode != http.StatusSwitchingProtocols
	return resp, decode(resp.Header, body), reusable, Failure{}
}

// failed returns the Failure of a request. before is the number of bytes written to the connection
// before the request; whole reports that all of the request was written.
func (c *keptConn) failed(ctx context.Context, err error, before int64, whole bool) Failure {
	f := Failure{Err: err, TimedOut: errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil}
	if whole {
		f.Reach = Written
	} else if c.raw.written > before {
		f.Reach = PartlyWritten
	}
	if f.Reach == NotReached || c.readBudget < headerLimit && whole { // the response had begun
		return f
	}
	// A reset without an end before it may come from a program that has read the request: its host
	// delays acknowledgements, and a reset carries none that counts.
	if errors.Is(err, syscall.ECONNRESET) {
		return f
	}
	// A connection that the receiver has closed delivers nothing more. What it had not
	// acknowledged by then, nobody has read.
	if acknowledged, ended := endedConn(c.raw.Conn); ended {
		switch {
		case acknowledged <= before+1: // the handshake counts as a byte
			f.Reach = NotReached
		case acknowledged < c.raw.written:
			f.Reach = PartlyWritten
		}
	}
	return f
}

// readResponse reads the head of the final response.
func (c *keptConn) readResponse() (*http.Response, error) {
	c.readBudget = headerLimit
	for n := 0; ; n++ {
		resp, err := http.ReadResponse(c.reader, &http.Request{Method: http.MethodPost})
		if err != nil {
			return nil, err
		}
		interim := resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols
		if !interim || n == maxInterim {
			return resp, nil
		}
	}
}
