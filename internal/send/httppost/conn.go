package webhook

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// keptConn is one kept connection to the receiver. It writes a request, then reads
// its response. net/http's transport uses two more goroutines per connection, whose
// four hand-overs were half of a message's cost (docs/decisions/0040).
type keptConn struct {
	net.Conn
	raw        net.Conn // the TCP connection under TLS, or the same as Conn
	reader     *bufio.Reader
	readBudget int       // bytes of the response that may still be read
	idleSince  time.Time // when it was returned to the pool
}

// failure reports why there is no response, and how far the request got.
type failure struct {
	err       error
	connected bool // a connection was made
	written   bool // the whole request was written
	timedOut  bool // the timeout ended it
}

// maxInterim limits the 1xx responses before the final one.
const maxInterim = 5

var errTooLong = errors.New("the response is too long")

func newConn(conn, raw net.Conn) *keptConn {
	l := &keptConn{Conn: conn, raw: raw}
	l.reader = bufio.NewReader(l)
	return l
}

// Read implements io.Reader. It returns errTooLong beyond the response's limit.
func (l *keptConn) Read(p []byte) (int, error) {
	if l.readBudget <= 0 {
		return 0, errTooLong
	}
	n, err := l.Conn.Read(p[:min(len(p), l.readBudget)])
	l.readBudget -= n
	return n, err
}

// exchange writes a request and reads its response, within the connection's
// deadline. again reports whether the connection can be reused.
func (l *keptConn) exchange(ctx context.Context, request []byte) (resp *http.Response, body []byte, again bool, f failure) {
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) }) // a past deadline ends reads and writes at once
	defer func() { again = stop() && again }()
	f.connected = true
	if _, f.err = l.Write(request); f.err != nil {
		// The receiver has only a part of the object and can't use it.
		f.timedOut = errors.Is(f.err, os.ErrDeadlineExceeded)
		return nil, nil, false, f
	}
	f.written = true
	if resp, f.err = l.readResponse(); f.err != nil {
		f.timedOut = errors.Is(f.err, os.ErrDeadlineExceeded)
		return nil, nil, false, f
	}
	l.readBudget = 2 * bodyLimit // chunked encoding adds bytes
	body, whole := read(resp)
	// The body isn't closed: that would read the rest of a long one.
	again = whole && !resp.Close && l.reader.Buffered() == 0 && resp.StatusCode != http.StatusSwitchingProtocols
	return resp, body, again, failure{}
}

// readResponse reads the head of the final response.
func (l *keptConn) readResponse() (*http.Response, error) {
	l.readBudget = headerLimit
	for n := 0; ; n++ {
		resp, err := http.ReadResponse(l.reader, &http.Request{Method: http.MethodPost})
		if err != nil {
			return nil, err
		}
		interim := resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols
		if !interim || n == maxInterim {
			return resp, nil
		}
	}
}
