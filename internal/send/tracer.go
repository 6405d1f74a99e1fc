package send

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// WireTracer receives, as text, one message's request and reply as they are on the wire, for a
// person who tries out a channel. It may be called any number of times, by one goroutine at a
// time. A nil WireTracer traces nothing. The text holds contact data and secrets.
type WireTracer func(reply bool, text []byte)

// maxTracedReply limits how much of a reply's body is traced.
const maxTracedReply = 64 << 10

// RoundTrip makes an HTTP request with next and traces request and reply.
func (t WireTracer) RoundTrip(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	if t == nil {
		return next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\nHost: %s\n", req.Method, req.URL.RequestURI(), host)
	t.show(false, &b, req.Header, body)
	resp, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// Read no more than that: a reply may have no end.
	head, _ := io.ReadAll(io.LimitReader(resp.Body, maxTracedReply)) // the body returns its error again
	resp.Body = &bodyReader{io.MultiReader(bytes.NewReader(head), resp.Body), resp.Body}
	b.Reset()
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	t.show(true, &b, resp.Header, head)
	return resp, nil
}

func (t WireTracer) show(reply bool, b *bytes.Buffer, header http.Header, body []byte) {
	var lines bytes.Buffer
	_ = header.Write(&lines) // a buffer takes everything
	b.Write(bytes.ReplaceAll(lines.Bytes(), []byte("\r\n"), []byte("\n")))
	b.WriteByte('\n')
	b.Write(body)
	t(reply, b.Bytes())
}

// bodyReader reads from one source and closes another.
type bodyReader struct {
	io.Reader
	closer io.Closer
}

func (j *bodyReader) Close() error { return j.closer.Close() }

// Transcript collects what a WireTracer receives. It is safe for concurrent use.
type Transcript struct {
	mu             sync.Mutex // guards what follows
	request, reply bytes.Buffer
}

// Tracer is a WireTracer that writes to the transcript.
func (t *Transcript) Tracer(reply bool, text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := &t.request
	if reply {
		b = &t.reply
	}
	b.Write(text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		b.WriteByte('\n')
	}
}

// Texts returns the request and the reply so far.
func (t *Transcript) Texts() (request, reply string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.request.String(), t.reply.String()
}
