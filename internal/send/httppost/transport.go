package httppost

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"
)

// newTransport returns the net/http transport for requests that don't fit the pool. It speaks only
// HTTP/1.1, so that each request's written bytes can be counted.
func newTransport(connections int, timeout time.Duration, roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: keepAlive}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &closableConn{Conn: c}, nil
		},
		Protocols: protocols, MaxIdleConns: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: idleLimit,
		TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: headerLimit, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: roots}, OnProxyConnectResponse: onProxyConnect,
	}
}

// closableConn counts the written bytes and can be closed for writing: net/http may still write
// after a request has ended with its context, and "nothing was written" must stay true.
type closableConn struct {
	net.Conn

	mu          sync.Mutex // guards the fields below
	written     int64
	writeClosed bool
}

// Write implements net.Conn.
func (c *closableConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.writeClosed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.written += int64(len(p)) // counted before: all of it may be sent during the call
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	if n < len(p) {
		c.mu.Lock()
		c.written -= int64(len(p) - n)
		c.mu.Unlock()
	}
	return n, err
}

func (c *closableConn) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// stopWriting makes later writes fail and returns the count.
func (c *closableConn) stopWriting() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeClosed = true
	return c.written
}

// requestTrace records the connection of one request.
type requestTrace struct {
	mu     sync.Mutex // guards the fields below
	conn   *closableConn
	got    bool
	cutOff bool // the transport failed to write the whole request
	start  int64
}

func (t *requestTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			conn := info.Conn
			if secure, ok := conn.(*tls.Conn); ok {
				conn = secure.NetConn()
			}
			t.mu.Lock()
			defer t.mu.Unlock()
			t.got = true
			if t.conn, _ = conn.(*closableConn); t.conn != nil {
				t.start = t.conn.count()
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.cutOff = info.Err != nil
		},
	})
}

// reach returns how far the request got. It is called after the request has failed; nothing
// is written afterwards.
func (t *requestTrace) reach() Reach {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.got || t.conn != nil && t.conn.stopWriting() == t.start:
		return NotReached
	case t.cutOff:
		return PartlyWritten
	}
	return Written
}

// postViaTransport makes the request through net/http. The transport repeats requests
// with an Idempotency-Key on its own, so the request has no GetBody to repeat it with.
func (c *Client) postViaTransport(ctx context.Context, fields []Field, body []byte) (*http.Response, []byte, Failure) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	header := c.header.Clone()
	for _, f := range fields {
		header.Set(f.Name, f.Value)
	}
	trace := &requestTrace{}
	req := &http.Request{Method: http.MethodPost, URL: c.url, Host: c.host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body))}
	resp, err := c.tracer.RoundTrip(c.transport, req.WithContext(trace.attach(ctx)))
	if err != nil {
		return nil, nil, Failure{Err: err, Reach: trace.reach(), TimedOut: errors.Is(ctx.Err(), context.DeadlineExceeded) || isTimeout(err)}
	}
	content, _ := readBody(resp)
	_ = resp.Body.Close() // the status decides; an error here changes nothing
	return resp, decode(resp.Header, content), Failure{}
}

// isTimeout reports whether one of the transport's own timeouts, which are as long as the request's, came first.
func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout() && !errors.Is(err, syscall.ETIMEDOUT) // the system's
}
