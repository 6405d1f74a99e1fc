// Package webhook is the channel that POSTs one JSON object a message (SPEC 11)
// to a URL, with the message's key as Idempotency-Key and, with a secret, a
// Standard Webhooks signature.
//
// It keeps connections for reuse, follows no redirect, speaks HTTP/1.1 and makes
// exactly one request an attempt: Go's transport would by itself repeat
// one that has an Idempotency-Key, so it is given no way to. The answer is a verdict by its
// status alone; of its body only an id is used, and nothing of it reaches a log.
//
// How it fails: before the request was written whole, the message surely was not
// sent; after that, and without a status, no one can tell. What every message
// would meet (refused credentials, a redirect, a certificate that isn't good) holds the channel.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

const (
	defaultTimeout = 10 * time.Second
	// bodyLimit is how much of an answer is read so that its connection can be reused; beyond it the connection is closed.
	bodyLimit   = 64 << 10
	headerLimit = 64 << 10
	// userAgent says who asks. No version: it is nobody's business.
	userAgent = "campaignd"
	headerKey = "Idempotency-Key"
)

// Options are a webhook's configuration (SPEC 11).
type Options struct {
	URL         string
	Secret      string            // for the Standard Webhooks signature: "whsec_" and base64, or base64; "": unsigned
	Headers     map[string]string // sent with every request
	Timeout     time.Duration     // of one request, answer included; 0: 10s
	Concurrency int               // connections kept for reuse; 0: 1
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	url       *url.URL
	host      string
	headers   http.Header
	signer    *standardwebhooks.Webhook // nil: unsigned
	timeout   time.Duration
	transport *http.Transport
	encoders  sync.Pool // of *send.Encoder
}

// New makes the channel. It returns an error for a URL that is not an http or
// https one, that carries credentials, or a secret that is not base64. It does no I/O.
func New(o Options) (*Channel, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, errors.New("the url can't be read: write one like https://example.com/hook") // err would repeat it
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("the url must begin with http:// or https:// and name a host")
	case u.User != nil:
		return nil, errors.New("the url must hold no user and password: use headers, or a signature")
	}
	c := &Channel{url: u, headers: http.Header{}, timeout: o.Timeout, encoders: sync.Pool{New: func() any { return new(send.Encoder) }}}
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
	dialer := &net.Dialer{Timeout: c.timeout, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	c.transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, Protocols: protocols,
		MaxIdleConns: max(o.Concurrency, 1), MaxIdleConnsPerHost: max(o.Concurrency, 1), IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: c.timeout, MaxResponseHeaderBytes: headerLimit, DisableCompression: true,
	}
	return c, nil
}

// Compile implements send.Channel: any JSON object will do.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}

// CheckMessage implements send.Channel: what a receiver refuses is not known here.
func (c *Channel) CheckMessage(_, _ []byte) error { return nil }

// Batch implements send.Channel: a request each.
func (c *Channel) Batch() int { return 1 }

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.post(ctx, m)
	}
}

func (c *Channel) post(ctx context.Context, m *send.Message) send.Result {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	m.SentAt = time.Now().UTC().Round(0)
	e := c.encoders.Get().(*send.Encoder)
	payload := e.Append(make([]byte, 0, 384+len(m.Content)), m)
	c.encoders.Put(e)
	var connected, written atomic.Bool
	trace := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			// With an error a part of it at most was written, and no receiver takes half an object.
			written.Store(info.Err == nil)
		},
	}
	req, err := c.request(httptrace.WithClientTrace(ctx, trace), m, payload)
	if err != nil {
		return send.Result{Verdict: send.VerdictRetry, Detail: "the request can't be signed"}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return c.failure(ctx, err, connected.Load(), written.Load())
	}
	body := read(resp.Body)
	return c.judge(resp, body, time.Now())
}

// request makes the request. It has no GetBody on purpose: see the package
// comment. Its body is one that the transport knows to be in memory, and so
// writes together with the head.
func (c *Channel) request(ctx context.Context, m *send.Message, payload []byte) (*http.Request, error) {
	header := c.headers.Clone()
	header.Set(headerKey, m.Key)
	if c.signer != nil {
		signature, err := c.signer.Sign(m.Key, m.SentAt, payload)
		if err != nil {
			return nil, fmt.Errorf("sign request: %w", err)
		}
		header.Set(standardwebhooks.HeaderWebhookID, m.Key)
		header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(m.SentAt.Unix(), 10))
		header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	req := &http.Request{Method: http.MethodPost, URL: c.url, Host: c.host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(payload)), ContentLength: int64(len(payload))}
	return req.WithContext(ctx), nil
}

// read reads an answer's body as far as it is worth it and closes it. What was
// not read to its end can't be reused; that is the transport's to see.
func read(body io.ReadCloser) []byte {
	b, err := io.ReadAll(io.LimitReader(body, bodyLimit+1))
	_ = body.Close() // the status is known; nothing hangs on it
	if err != nil || len(b) > bodyLimit {
		return nil
	}
	return b
}
