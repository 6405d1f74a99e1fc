package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/send"
)

// newTransport makes Go's transport for what doesn't fit a line.
func newTransport(connections int, timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: keepAlive}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, Protocols: protocols,
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: idleLimit,
		TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: headerLimit, DisableCompression: true,
	}
}

// goAround makes the request through Go's transport. It would by itself repeat one that
// has an Idempotency-Key, so it is given no way to: the request has no GetBody.
func (c *Channel) goAround(ctx context.Context, m *send.Message, payload []byte, signature string) (*http.Response, []byte, fault) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var connected, written atomic.Bool
	trace := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			// With an error a part of it at most was written, and no receiver takes half an object.
			written.Store(info.Err == nil)
		},
	}
	header := c.headers.Clone()
	header.Set(headerKey, m.Key)
	if signature != "" {
		header.Set(standardwebhooks.HeaderWebhookID, m.Key)
		header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(m.SentAt.Unix(), 10))
		header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	req := &http.Request{Method: http.MethodPost, URL: c.url, Host: c.host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(payload)), ContentLength: int64(len(payload))}
	resp, err := c.tap.RoundTrip(c.around, req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return nil, nil, fault{err, connected.Load(), written.Load(), errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
	body, _ := read(resp)
	_ = resp.Body.Close() // the status is known; nothing hangs on it
	return resp, body, fault{}
}
