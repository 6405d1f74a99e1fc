// Package webhook is the channel that POSTs one JSON object a message (SPEC 11)
// to a URL, with the message's key as Idempotency-Key and, with a secret, a
// Standard Webhooks signature.
//
// It keeps connections for reuse, follows no redirect, speaks HTTP/1.1 and makes
// exactly one request an attempt. Most go over lines of its own (see line): head
// and body in one write, the answer read by net/http, all by the worker that
// called. What that doesn't fit (a proxy, a long body, a host name to be
// translated) goes through Go's transport. The answer is a verdict by its
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
	// bodyLimit is how much of an answer is read so that its connection can be reused; beyond it the connection is closed.
	bodyLimit   = 64 << 10
	headerLimit = 64 << 10
	// userAgent says who asks. No version: it is nobody's business.
	userAgent = "campaignd"
	headerKey = "Idempotency-Key"
	// atOnce is the longest body for a line. A receiver may answer before it has read
	// a longer one, and then writing must not keep the answer from being read.
	atOnce = 32 << 10
)

// Options are a webhook's configuration (SPEC 11).
type Options struct {
	URL         string
	Secret      string            // for the Standard Webhooks signature: "whsec_" and base64, or base64; "": unsigned
	Headers     map[string]string // sent with every request
	Timeout     time.Duration     // of one request, answer included; 0: 10s
	Concurrency int               // connections kept for reuse; 0: 1
	Tracer      send.WireTracer   // is shown each request and reply; nil: nobody looks
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	url     *url.URL
	host    string
	headers http.Header
	signer  *standardwebhooks.Webhook // nil: unsigned
	timeout time.Duration
	around  *http.Transport
	tap     send.WireTracer
	lines   *lines // nil: everything goes around
	head    []byte // of a request over a line, up to the key
	drafts  sync.Pool
}

// draft is what a request is made with. It is reused.
type draft struct {
	encoder send.Encoder
	payload []byte
	request []byte
}

// New makes the channel. It returns an error for a URL that is not an http or
// https one, that carries credentials, a header that can't be one, or a secret
// that is not base64. It does no I/O.
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
	c := &Channel{url: u, headers: http.Header{}, timeout: o.Timeout, drafts: sync.Pool{New: func() any { return new(draft) }}}
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
	// How long the body is, and how it is sent, is not the configuration's to say.
	for _, name := range []string{headerKey, "Content-Length", "Transfer-Encoding", "Trailer"} {
		c.headers.Del(name)
	}
	c.around = newTransport(max(o.Concurrency, 1), c.timeout)
	if c.tap = o.Tracer; c.tap == nil && c.direct() {
		c.lines = newLines(u, c.timeout)
		c.head = c.newHead()
	}
	return c, nil
}

// direct reports whether requests can go over lines of our own.
func (c *Channel) direct() bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: c.url})
	plain := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) }
	return err == nil && proxy == nil && plain(c.url.Host) && plain(c.host)
}

// newHead is what all requests begin with.
func (c *Channel) newHead() []byte {
	var b bytes.Buffer
	host := c.host
	if host == "" {
		host = c.url.Host
	}
	b.WriteString("POST " + c.url.RequestURI() + " HTTP/1.1\r\nHost: " + host + "\r\n")
	_ = c.headers.Write(&b) // a buffer takes everything
	b.WriteString(headerKey + ": ")
	return b.Bytes()
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
	c.around.CloseIdleConnections()
	if c.lines != nil {
		c.lines.close()
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
	d := c.drafts.Get().(*draft)
	defer c.drafts.Put(d)
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
	var f fault
	if c.lines == nil || len(d.payload) > atOnce {
		resp, body, f = c.goAround(ctx, m, bytes.Clone(d.payload), signature)
	} else {
		c.write(d, m, signature)
		resp, body, f = c.lines.exchange(ctx, d.request, now.Add(c.timeout))
	}
	if f.err != nil {
		return c.failure(ctx, f)
	}
	return c.judge(resp, body, time.Now())
}

// write writes the whole request into the draft.
func (c *Channel) write(d *draft, m *send.Message, signature string) {
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

// read reads an answer's body as far as it is worth it; false if that is not the
// whole of it, and then nothing of it is used.
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
