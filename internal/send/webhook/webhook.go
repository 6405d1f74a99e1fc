// Package webhook is the channel that POSTs one JSON object per message
// (docs/contract.md 11) to a URL, with the message's key as Idempotency-Key and, if a
// secret is configured, a Standard Webhooks signature.
//
// It makes exactly one request per attempt, over kept connections (package httppost), and
// follows no redirect. The status decides the verdict. Of the body only an id is used,
// and of a refusal's what it says, without contact data (see said).
//
// How it fails: until the whole request was written, the message was certainly not
// sent; without a status after that, the outcome is unknown. A failure that every
// message would have (refused credentials, a redirect, an invalid certificate) holds the channel.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

const (
	// userAgent identifies the client, without its version.
	userAgent = "campaignd"
	headerKey = "Idempotency-Key"
)

// Options configure a webhook (docs/contract.md 11).
type Options struct {
	URL         string
	Secret      string            // of the Standard Webhooks signature: base64, with or without "whsec_" before it; "": unsigned
	Headers     map[string]string // sent with every request
	Timeout     time.Duration     // of one request and its response
	Concurrency int               // connections kept for reuse; 0: 1
	Tracer      send.WireTracer   // gets each request and response; nil: none
}

// Channel is the driver. It implements send.Channel.
type Channel struct {
	sign    func(key string, at time.Time, payload []byte) (string, error) // nil: unsigned
	client  *httppost.Client
	private string    // URL and headers, which may contain secrets
	buffers sync.Pool // *buffers
}

// buffers hold one request while it is made. They are reused.
type buffers struct {
	encoder send.Encoder
	payload []byte
}

// New returns the channel of options that fit their keys. It returns an error for a secret that
// isn't base64. It does no I/O.
func New(o Options) (*Channel, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("the url can't be read") // err would repeat it
	}
	c := &Channel{buffers: sync.Pool{New: func() any { return new(buffers) }}}
	if o.Secret != "" {
		signer, err := standardwebhooks.NewWebhook(o.Secret)
		if err != nil {
			return nil, errors.New(`the secret must be base64, with or without "whsec_" before it`)
		}
		c.sign = signer.Sign
	}
	c.private = u.RequestURI() + "\n" + strings.Join(slices.Collect(maps.Values(o.Headers)), "\n")
	host, header := headers(o.Headers)
	c.client = httppost.New(httppost.Options{URL: u, Host: host, Header: header, Timeout: o.Timeout, Connections: o.Concurrency, Tracer: o.Tracer})
	return c, nil
}

// headers returns the Host header, if it is configured, and the other headers of every request.
func headers(configured map[string]string) (host string, header http.Header) {
	header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {userAgent}}
	for name, value := range configured {
		if http.CanonicalHeaderKey(name) == "Host" {
			host = value
			continue
		}
		header.Set(name, value)
	}
	// The driver sets these itself.
	for _, name := range []string{headerKey, "Content-Length", "Transfer-Encoding", "Trailer"} {
		header.Del(name)
	}
	return host, header
}

// Compile implements send.Channel. It accepts any JSON object.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}

// CheckMessage implements send.Channel. It accepts everything: the receiver's rules aren't known.
func (c *Channel) CheckMessage(_, _ []byte) error { return nil }

// Batch implements send.Channel: one message per request.
func (c *Channel) Batch() int { return 1 }

// Receiver implements send.Receiver.
func (c *Channel) Receiver() string { return c.client.Host() }

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.client.Close()
	return nil
}

// Send implements send.Channel.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	for i, m := range msgs {
		results[i] = c.sendOne(ctx, m)
	}
}

// sendOne makes one attempt at a message.
func (c *Channel) sendOne(ctx context.Context, m *send.Message) send.Result {
	m.SentAt = time.Now().UTC().Round(0)
	b := c.buffers.Get().(*buffers)
	defer c.buffers.Put(b)
	b.payload = b.encoder.Append(b.payload[:0], m)
	fields := append(make([]httppost.Field, 0, 4), httppost.Field{Name: headerKey, Value: m.Key})
	if c.sign != nil {
		signature, err := c.sign(m.Key, m.SentAt, b.payload)
		if err != nil { // no message can be signed then
			return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: "messages can't be signed: check secret_file, then reload"}
		}
		fields = append(fields, httppost.Field{Name: standardwebhooks.HeaderWebhookID, Value: m.Key},
			httppost.Field{Name: standardwebhooks.HeaderWebhookTimestamp, Value: strconv.FormatInt(m.SentAt.Unix(), 10)},
			httppost.Field{Name: standardwebhooks.HeaderWebhookSignature, Value: signature})
	}
	resp, body, f := c.client.Post(ctx, fields, b.payload)
	if f.Err != nil {
		return c.client.Unanswered(ctx, f, httppost.Words{Key: "url", NoTLS: "check the url's https and port"})
	}
	res := classify(resp, body, time.Now())
	if res.Verdict != send.VerdictSent {
		res.Said = c.said(body, m)
	}
	return res
}
