package whatsapp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"campaignd/internal/send"
)

const headerLimit = 64 << 10

// newTransport returns the transport of one channel. It speaks only HTTP/1.1, so that each
// request's written bytes can be counted.
func newTransport(timeout time.Duration, idle int) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &countingConn{Conn: c}, nil
		},
		Protocols: protocols, MaxIdleConns: idle, MaxIdleConnsPerHost: idle, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: headerLimit, DisableCompression: true,
	}
}

// countingConn counts the written bytes and can be closed for writing: net/http may still write
// after a request has ended with its context, and "nothing was written" must stay true.
type countingConn struct {
	net.Conn

	mu          sync.Mutex // guards the fields below
	wrote       int64
	writeClosed bool
}

// Write implements net.Conn.
func (t *countingConn) Write(p []byte) (int, error) {
	t.mu.Lock()
	if t.writeClosed {
		t.mu.Unlock()
		return 0, net.ErrClosed
	}
	t.wrote += int64(len(p)) // counted before: all of it may be sent during the call
	t.mu.Unlock()
	n, err := t.Conn.Write(p)
	if n < len(p) {
		t.mu.Lock()
		t.wrote -= int64(len(p) - n)
		t.mu.Unlock()
	}
	return n, err
}

func (t *countingConn) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wrote
}

// stopWriting makes later writes fail and returns the count.
func (t *countingConn) stopWriting() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writeClosed = true
	return t.wrote
}

// requestTrace records the connection of one request.
type requestTrace struct {
	mu    sync.Mutex // guards the fields below
	conn  *countingConn
	got   bool
	start int64
}

func (t *requestTrace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn := info.Conn
		if secure, ok := conn.(*tls.Conn); ok {
			conn = secure.NetConn()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.got = true
		if t.conn, _ = conn.(*countingConn); t.conn != nil {
			t.start = t.conn.count()
		}
	}})
}

// written reports whether any part of the request may have been sent. It is called after the
// request has failed; nothing is written afterwards.
func (t *requestTrace) written() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.got {
		return false
	}
	return t.conn == nil || t.conn.stopWriting() > t.start
}

// classifyFailure returns the verdict on an attempt without a response.
func (c *Channel) classifyFailure(ctx context.Context, err error, written bool) send.Result {
	what := describe(ctx, err, c.timeout)
	if written {
		return send.Result{Verdict: send.VerdictUnknown, Detail: "the request was written, but no answer came: " + what}
	}
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		plain       tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &hostname):
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel,
			Detail: "the server's certificate is not valid: check base_url, this host's clock and its certificate authorities"}
	case errors.As(err, &plain):
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "the server doesn't speak TLS: check base_url"}
	}
	return send.Result{Verdict: send.VerdictRetry, Detail: "the request could not be written: " + what}
}

// describe describes an error without repeating the server's text.
func describe(ctx context.Context, err error, timeout time.Duration) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("nothing within %v", timeout)
	case ctx.Err() != nil:
		return "the daemon stopped"
	case errors.As(err, &dns):
		return "the server's name can't be looked up"
	case errors.As(err, &op):
		return clip(op.Op+": "+op.Err.Error(), maxQuoteLen)
	}
	return "the connection was closed, or the answer was not HTTP"
}
