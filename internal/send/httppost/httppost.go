// Package httppost POSTs messages to one URL over kept HTTP/1.1 connections. It
// exists because the webhook and the WhatsApp driver both have to know how far a
// request without a response got: that decides whether a message may be sent again.
//
// It makes exactly one request per Post and follows no redirect. A kept connection
// that the receiver had closed before it read anything is replaced once; nobody has
// seen the first request. Requests go over a pool of its own (see keptConn): one
// write for head and body, the response parsed by net/http, all in the caller's
// goroutine. Requests through a proxy, with a long body, with a tracer, or to a
// non-ASCII host name go through net/http's transport.
//
// How it fails: Post returns a Failure with the error and the Reach of the request.
package httppost

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"campaignd/internal/send"
)

const (
	// bodyLimit is the longest response body that is read; after a longer one the connection is closed.
	bodyLimit   = 64 << 10
	headerLimit = 64 << 10
	// maxDirectBody is the longest request body for the pool. A receiver may respond before it
	// has read a longer one, and then the response must be read while the request is written.
	maxDirectBody = 32 << 10
)

// Options configure a Client.
type Options struct {
	URL         *url.URL // http or https, without user and password
	Host        string   // of the Host header; "": the URL's
	Header      http.Header
	Timeout     time.Duration // of one request and its response
	Connections int           // kept for reuse; 0: 1
	Tracer      send.WireTracer
	Roots       *x509.CertPool // trusted authorities; nil: the system's
}

// Field is a header field of one request.
type Field struct{ Name, Value string }

// Reach tells how far a request without a response got.
type Reach uint8

// The reaches.
const (
	NotReached    Reach = iota // there was no connection, or the receiver has read nothing of the request
	PartlyWritten              // the receiver can't have read the whole request
	Written                    // the receiver may have read the whole request
)

// Failure reports why there is no response. The zero value means that there is one.
type Failure struct {
	Err      error
	Reach    Reach
	TimedOut bool // the timeout ended the request
}

// Client makes the requests. It is safe for concurrent use.
type Client struct {
	url       *url.URL
	host      string
	header    http.Header
	timeout   time.Duration
	transport *http.Transport
	tracer    send.WireTracer
	pool      *pool     // nil: every request goes through transport
	head      []byte    // the beginning of a request through the pool
	requests  sync.Pool // *[]byte
}

// New returns a client. It does no I/O and starts nothing.
func New(o Options) *Client {
	c := &Client{url: o.URL, host: o.Host, header: o.Header, timeout: o.Timeout, tracer: o.Tracer,
		transport: newTransport(max(o.Connections, 1), o.Timeout, o.Roots), requests: sync.Pool{New: func() any { return new([]byte) }}}
	if c.tracer == nil && c.direct() {
		c.pool = newPool(o.URL, &tls.Config{ServerName: o.URL.Hostname(), NextProtos: []string{"http/1.1"}, RootCAs: o.Roots})
		c.head = c.newHead()
	}
	return c
}

// direct reports whether requests can go through the pool.
func (c *Client) direct() bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.url})
	plain := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) }
	return err == nil && proxy == nil && plain(c.url.Host) && plain(c.host)
}

// newHead returns the bytes that every request through the pool begins with.
func (c *Client) newHead() []byte {
	var b bytes.Buffer
	host := c.host
	if host == "" {
		host = c.url.Host
	}
	b.WriteString("POST " + c.url.RequestURI() + " HTTP/1.1\r\nHost: " + host + "\r\n")
	_ = c.header.Write(&b) // a bytes.Buffer returns no error
	return b.Bytes()
}

// Post makes one request. It returns the response, whose body is already read and closed, and
// that body, or nil if it is cut off, too long or can't be decoded.
func (c *Client) Post(ctx context.Context, fields []Field, body []byte) (*http.Response, []byte, Failure) {
	if err := ctx.Err(); err != nil {
		return nil, nil, Failure{Err: err}
	}
	if c.pool == nil || len(body) > maxDirectBody {
		return c.postViaTransport(ctx, fields, bytes.Clone(body))
	}
	request := c.requests.Get().(*[]byte)
	defer c.requests.Put(request)
	*request = c.appendRequest((*request)[:0], fields, body)
	return c.pool.exchange(ctx, *request, time.Now().Add(c.timeout))
}

// appendRequest appends the whole request to b.
func (c *Client) appendRequest(b []byte, fields []Field, body []byte) []byte {
	b = append(b, c.head...)
	for _, f := range fields {
		b = append(b, f.Name...)
		b = append(b, ": "...)
		b = append(b, f.Value...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}

// Host returns the receiver's host, with its port if the URL has one.
func (c *Client) Host() string { return c.url.Host }

// Close closes the idle connections, and later each one that is returned.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
	if c.pool != nil {
		c.pool.idle.End()
	}
}
