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

// newTransport returns the net/http transport for requests that don't fit the pool.
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

// postViaTransport makes the request through net/http. The transport repeats requests
// with an Idempotency-Key on its own, so the request has no GetBody to repeat it with.
func (c *Channel) postViaTransport(ctx context.Context, m *send.Message, payload []byte, signature string) (*http.Response, []byte, failure) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var connected, written atomic.Bool
	trace := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			// After an error the receiver has only a part of the object and can't use it.
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
	resp, err := c.tracer.RoundTrip(c.transport, req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return nil, nil, failure{err, connected.Load(), written.Load(), errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
	body, _ := read(resp)
	_ = resp.Body.Close() // the status decides; an error here changes nothing
	return resp, body, failure{}
}
