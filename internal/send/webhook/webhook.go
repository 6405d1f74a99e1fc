// Package webhook is the channel that POSTs one JSON object per message
// (docs/contract.md 11) to a URL, with the message's key as Idempotency-Key and, if a
// secret is configured, a Standard Webhooks signature.
//
// It keeps connections for reuse, follows no redirect, speaks HTTP/1.1 and makes
// exactly one request per attempt. Most requests go over a connection pool of its own
// (see keptConn): one write for head and body, the response parsed by net/http, all in
// the caller's goroutine. Requests through a proxy, with a long body or to a
// non-ASCII host name go through net/http's transport. The status decides the verdict;
// only an id is read from the body, and nothing from it is logged.
//
// How it fails: until the whole request was written, the message was certainly not
// sent; without a status after that, the outcome is unknown. A failure that every
// message would have (refused credentials, a redirect, an invalid certificate) holds the channel.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

const (
	defaultTimeout = 10 * time.Second
	// bodyLimit is the longest response body that is read; after a longer one the connection is closed.
	bodyLimit   = 64 << 10
	headerLimit = 64 << 10
	// userAgent identifies the client, without its version.
	userAgent = "campaignd"
	headerKey = "Idempotency-Key"
	// maxDirectBody is the longest request body for the pool. A receiver may respond before it
	// has read a longer one, and then the response must be read while the request is written.
	maxDirectBody = 32 << 10
)

// Options configure a webhook (docs/contract.md 11).
type Options struct {
	URL         string
	Secret      string            // of the Standard Webhooks signature: base64, with or without "whsec_" before it; "": unsigned
	Headers     map[string]string // sent with every request
	Timeout     time.Duration     // of one request and its response; 0: 10s
	Concurrency int               // connections kept for reuse; 0: 1
	Tracer      send.WireTracer   // gets each request and response; nil: none
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	url       *url.URL
	host      string
	headers   http.Header
	signer    *standardwebhooks.Webhook // nil: unsigned
	timeout   time.Duration
	transport *http.Transport
	tracer    send.WireTracer
	pool      *pool  // nil: every request goes through transport
	head      []byte // of a request through the pool, up to the key
	buffers   sync.Pool
}

// buffers hold one request while it is made. They are reused.
type buffers struct {
	encoder send.Encoder
	payload []byte
	request []byte
}

// New returns the channel. It returns an error for a URL that isn't http or https or
// contains credentials, and for a secret that isn't base64. It does no I/O.
func New(o Options) (*Channel, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("the url can't be read: write one like https://example.com/hook") // err would repeat the URL
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("the url must begin with http:// or https:// and name a host")
	case u.User != nil:
		return nil, errors.New("the url must hold no user and password: use headers, or a signature")
	}
	c := &Channel{url: u, headers: http.Header{}, timeout: o.Timeout, buffers: sync.Pool{New: func() any { return new(buffers) }}}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if o.Secret != "" {
		if c.signer, err = standardwebhooks.NewWebhook(o.Secret); err != nil {
			return nil, errors.New(`the secret must be base64, with or without "whsec_" before it`)
		}
	}
	c.headers.Set("Content-Type", "application/json")
	c.headers.Set("User-Agent", userAgent)
	for name, value := range o.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			c.host = value
			continue
		}
		c.headers.Set(name, value)
	}
	// The driver sets these itself.
	for _, name := range []string{headerKey, "Content-Length", "Transfer-Encoding", "Trailer"} {
		c.headers.Del(name)
	}
	c.transport = newTransport(max(o.Concurrency, 1), c.timeout)
	if c.tracer = o.Tracer; c.tracer == nil && c.direct() {
		c.pool = newPool(u, c.timeout)
		c.head = c.newHead()
	}
	return c, nil
}

// direct reports whether requests can go through the pool.
func (c *Channel) direct() bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.url})
	plain := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) }
	return err == nil && proxy == nil && plain(c.url.Host) && plain(c.host)
}

// newHead returns the bytes that every request begins with.
func (c *Channel) newHead() []byte {
	var b bytes.Buffer
	host := c.host
	if host == "" {
		host = c.url.Host
	}
	b.WriteString("POST " + c.url.RequestURI() + " HTTP/1.1\r\nHost: " + host + "\r\n")
	_ = c.headers.Write(&b) // a bytes.Buffer returns no error
	b.WriteString(headerKey + ": ")
	return b.Bytes()
}

// Compile implements send.Channel. It accepts any JSON object.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}

// CheckMessage implements send.Channel. It accepts everything: the receiver's rules aren't known.
func (c *Channel) CheckMessage(_, _ []byte) error { return nil }

// Batch implements send.Channel: one message per request.
func (c *Channel) Batch() int { return 1 }

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.transport.CloseIdleConnections()
	if c.pool != nil {
		c.pool.close()
	}
	return nil
}

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.post(ctx, m)
	}
}

func (c *Channel) post(ctx context.Context, m *send.Message) send.Result {
	now := time.Now()
	m.SentAt = now.UTC().Round(0)
	d := c.buffers.Get().(*buffers)
	defer c.buffers.Put(d)
	d.payload = d.encoder.Append(d.payload[:0], m)
	var signature string
	if c.signer != nil {
		var err error
		if signature, err = c.signer.Sign(m.Key, m.SentAt, d.payload); err != nil {
			return send.Result{Verdict: send.VerdictRetry, Detail: "the request can't be signed"}
		}
	}
	var resp *http.Response
	var body []byte
	var f failure
	if c.pool == nil || len(d.payload) > maxDirectBody {
		resp, body, f = c.postViaTransport(ctx, m, bytes.Clone(d.payload), signature)
	} else {
		c.write(d, m, signature)
		resp, body, f = c.pool.exchange(ctx, d.request, now.Add(c.timeout))
	}
	if f.err != nil {
		return c.classifyFailure(ctx, f)
	}
	return c.classify(resp, body, time.Now())
}

// write builds the whole request in d.request.
func (c *Channel) write(d *buffers, m *send.Message, signature string) {
	b := append(d.request[:0], c.head...)
	b = append(b, m.Key...)
	if signature != "" {
		b = append(b, "\r\n"+standardwebhooks.HeaderWebhookID+": "...)
		b = append(b, m.Key...)
		b = append(b, "\r\n"+standardwebhooks.HeaderWebhookTimestamp+": "...)
		b = strconv.AppendInt(b, m.SentAt.Unix(), 10)
		b = append(b, "\r\n"+standardwebhooks.HeaderWebhookSignature+": "...)
		b = append(b, signature...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(d.payload)), 10)
	b = append(b, "\r\n\r\n"...)
	d.request = append(b, d.payload...)
}

// read reads a response's body. It returns false if it is cut off or longer than
// bodyLimit; then none of it is used.
func read(resp *http.Response) ([]byte, bool) {
	if resp.ContentLength == 0 {
		return nil, true
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	if err != nil || len(b) > bodyLimit {
		return nil, false
	}
	return b, true
}
