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

// line is one kept connection to the receiver. It does one thing at a time: write
// a request, read its answer. Go's transport has two more goroutines for
// each connection, so that a message is handed on four times; that was half of what
// a message cost (docs/decisions/0040).
type line struct {
	net.Conn
	raw  net.Conn // below TLS, or the same
	in   *bufio.Reader
	left int       // bytes of the answer that may still be read
	used time.Time // when it was put back
}

// fault is why there is no answer, and how far the request got.
type fault struct {
	err       error
	connected bool // it had its connection
	written   bool // the whole of it went out
	late      bool // its time was over
}

// interims is how many answers of 1xx may come before the final one.
const interims = 5

var errTooLong = errors.New("the answer is too long")

func newLine(conn, raw net.Conn) *line {
	l := &line{Conn: conn, raw: raw}
	l.in = bufio.NewReader(l)
	return l
}

// Read limits what an answer may hold.
func (l *line) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.Conn.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// exchange sends a request and reads the answer, until the deadline of the
// connection at most. It reports whether the line can be used again.
func (l *line) exchange(ctx context.Context, request []byte) (resp *http.Response, body []byte, again bool, f fault) {
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) }) // a past deadline ends both at once
	defer func() { again = stop() && again }()
	f.connected = true
	if _, f.err = l.Write(request); f.err != nil {
		// A part of it at most was written, and no receiver takes half an object.
		f.late = errors.Is(f.err, os.ErrDeadlineExceeded)
		return nil, nil, false, f
	}
	f.written = true
	if resp, f.err = l.answer(); f.err != nil {
		f.late = errors.Is(f.err, os.ErrDeadlineExceeded)
		return nil, nil, false, f
	}
	l.left = 2 * bodyLimit // with what chunks add
	body, whole := read(resp)
	// Not closed: that would read what was not worth reading.
	again = whole && !resp.Close && l.in.Buffered() == 0 && resp.StatusCode != http.StatusSwitchingProtocols
	return resp, body, again, fault{}
}

// answer reads the head of the final answer.
func (l *line) answer() (*http.Response, error) {
	l.left = headerLimit
	for n := 0; ; n++ {
		resp, err := http.ReadResponse(l.in, &http.Request{Method: http.MethodPost})
		if err != nil {
			return nil, err
		}
		interim := resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols
		if !interim || n == interims {
			return resp, nil
		}
	}
}
