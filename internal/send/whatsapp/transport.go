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

// newTransport makes the connections of one channel. It is HTTP/1.1 only: what
// was handed to the network is then known for each request by itself.
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
			return &tally{Conn: c}, nil
		},
		Protocols: protocols, MaxIdleConns: idle, MaxIdleConnsPerHost: idle, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: headerLimit, DisableCompression: true,
	}
}

// tally is a connection that counts what it hands to the network and can be
// closed for writing, so that "nothing was written" stays true once it was said:
// net/http may still be writing when a request has ended with its context.
type tally struct {
	net.Conn

	mu    sync.Mutex // guards what follows
	wrote int64
	cut   bool
}

// Write implements net.Conn.
func (t *tally) Write(p []byte) (int, error) {
	t.mu.Lock()
	if t.cut {
		t.mu.Unlock()
		return 0, net.ErrClosed
	}
	t.wrote += int64(len(p)) // counted before: while it lasts, all of it may be on its way
	t.mu.Unlock()
	n, err := t.Conn.Write(p)
	if n < len(p) {
		t.mu.Lock()
		t.wrote -= int64(len(p) - n)
		t.mu.Unlock()
	}
	return n, err
}

func (t *tally) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wrote
}

// end lets nothing more be written and returns the count.
func (t *tally) end() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = true
	return t.wrote
}

// trace follows one request to the connection that it got.
type trace struct {
	mu    sync.Mutex // guards what follows
	conn  *tally
	got   bool
	start int64
}

func (t *trace) in(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		conn := info.Conn
		if secure, ok := conn.(*tls.Conn); ok {
			conn = secure.NetConn()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.got = true
		if t.conn, _ = conn.(*tally); t.conn != nil {
			t.start = t.conn.count()
		}
	}})
}

// written reports whether any of the request may have been handed to the
// network. It is asked once the request has failed; nothing is written afterwards.
func (t *trace) written() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.got {
		return false
	}
	return t.conn == nil || t.conn.end() > t.start
}

// failure says what an attempt without an answer means.
func (c *Channel) failure(ctx context.Context, err error, written bool) send.Result {
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
			Detail: "the server's certificate is not good: check base_url, this host's clock and its certificate authorities"}
	case errors.As(err, &plain):
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "the server doesn't speak TLS: check base_url"}
	}
	return send.Result{Verdict: send.VerdictRetry, Detail: "the request could not be written: " + what}
}

// describe words an error without anything that a server said.
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
		return clip(op.Op+": "+op.Err.Error(), longestSaid)
	}
	return "the connection ended, or what came was no HTTP"
}
