package httppost

import (
	"bufio"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// count returns a counter of the server's connections.
func count(srv *httptest.Server) *atomic.Int64 {
	var n atomic.Int64
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

// client returns a client for target. change, if not nil, changes its options.
func client(t testing.TB, target string, change func(*Options)) *Client {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{URL: u, Header: http.Header{"Content-Type": {"application/json"}}, Timeout: 10 * time.Second, Connections: 4}
	if change != nil {
		change(&o)
	}
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

func post(t *testing.T, c *Client) {
	t.Helper()
	resp, _, f := c.Post(t.Context(), []Field{{"Idempotency-Key", "k-1"}}, []byte(`{"a":1}`))
	if f.Err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, failure %+v; want 200", resp, f)
	}
}

// Nothing is written to a kept connection that the receiver has closed. TLS
// connections are reused too.
func TestClosedConnectionIsUsedAgain(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Idempotency-Key") == "" || r.ContentLength <= 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, `{"id": "a"}`)
	}))
	connections := count(srv)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	c := client(t, srv.URL, func(o *Options) { o.Roots = roots })
	for range 3 {
		post(t, c)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("got %d connections for three messages in a row; want 1", n)
	}
	srv.CloseClientConnections()
	kept, _ := c.pool.idle.Get()
	for end := time.Now().Add(10 * time.Second); stillOpen(kept.raw.Conn); {
		if time.Now().After(end) {
			t.Fatal("the closed connection seems open")
		}
	}
	kept.idleSince = time.Time{} // idle for longer than freshFor
	c.pool.idle.Put(kept)
	post(t, c)
	if n := connections.Load(); n != 2 {
		t.Errorf("got %d connections; want 2", n)
	}
}

func TestEndedConnectionIsUsedAgain(t *testing.T) {
	for name, reply := range map[string]string{
		"Connection: close":       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0":                "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"a second response":       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n",
		"an endless body":         "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
		"another protocol begins": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				if req, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					_, _ = io.WriteString(far, reply)
				}
				_ = far.Close()
			}()
			c := newConn(near, &countingConn{Conn: near})
			defer c.Close()
			_, _, reusable, f := c.exchange(t.Context(), []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
			if reusable || f.Err != nil {
				t.Errorf("got reusable %v, failure %+v; want neither", reusable, f)
			}
		})
	}
}

// Interim responses are skipped, up to a limit.
func TestEndlessInterimResponses(t *testing.T) {
	for n, want := range map[int]int{1: 200, maxInterim: 200, maxInterim + 1: 103} {
		near, far := net.Pipe()
		go func() {
			if req, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				for range n {
					_, _ = io.WriteString(far, "HTTP/1.1 103 Early Hints\r\n\r\n")
				}
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			_ = far.Close()
		}()
		c := newConn(near, &countingConn{Conn: near})
		resp, _, _, f := c.exchange(t.Context(), []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
		if f.Err != nil || resp.StatusCode != want {
			t.Errorf("after %d interim responses: got %v, failure %+v; want status %d", n, resp, f, want)
		}
		_ = c.Close()
	}
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// server serves each connection with handle until the test ends, and returns its URL.
func server(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// A server closes each connection after one response without announcing it, and the next request
// is written right afterwards. Every message is delivered once and none is unknown.
func TestServerClosesConnectionUnannounced(t *testing.T) {
	var requests, connections atomic.Int64
	closed := make(chan struct{}, 1)
	c := client(t, server(t, func(conn net.Conn) {
		connections.Add(1)
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			requests.Add(1)
			_, _ = io.WriteString(conn, okReply)
		}
		_ = conn.Close()
		closed <- struct{}{}
	}), nil)
	const messages = 500
	for range messages {
		post(t, c)
		<-closed // a request that reaches an open socket may have been read
	}
	if n := requests.Load(); n != messages {
		t.Errorf("the server read %d requests; want %d", n, messages)
	}
	if n := connections.Load(); n != messages {
		t.Errorf("got %d connections; want %d", n, messages)
	}
}

// A server closes each connection while the next request is on its way, so that it is reset unread.
// Only the first such request may be unknown: connections are used once afterwards.
func TestServerClosesConnectionDuringTheNextRequest(t *testing.T) {
	var connections atomic.Int64
	c := client(t, server(t, func(conn net.Conn) {
		connections.Add(1)
		r := bufio.NewReader(conn)
		if req, err := http.ReadRequest(r); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(conn, okReply)
		}
		for stillOpen(conn) {
			runtime.Gosched()
		}
	}), nil)
	post(t, c)
	_, _, f := c.Post(t.Context(), nil, []byte(`{}`))
	if f.Err == nil || f.Reach != Written {
		t.Errorf("got %+v for a request that was reset; want reach %d", f, Written)
	}
	const messages = 20
	for range messages {
		post(t, c)
	}
	if n := connections.Load(); n != 1+messages {
		t.Errorf("got %d connections; want %d", n, 1+messages)
	}
}

// A connection that ends before a response tells how much of the request the receiver read.
func TestReachOfARequestWithoutAResponse(t *testing.T) {
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	for name, x := range map[string]struct {
		handle func(net.Conn)
		want   Reach
	}{
		"closed after the request was read": {func(conn net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(conn)) }, Written},
		"reset after the request was read": {func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			reset(conn)
		}, Written},
		"half a response": {func(conn net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, okReply[:20])
		}, Written},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, f := client(t, server(t, x.handle), nil).Post(t.Context(), nil, []byte(`{}`))
			if f.Err == nil || f.Reach != x.want {
				t.Errorf("got %+v; want reach %d", f, x.want)
			}
		})
	}
	// On a kept connection the receiver's host delays acknowledgements, and the reset comes before one.
	t.Run("a kept connection is reset after the request was read", func(t *testing.T) {
		var requests atomic.Int64
		c := client(t, server(t, func(conn net.Conn) {
			r := bufio.NewReader(conn)
			for range 2 {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				if requests.Add(1) == 1 {
					_, _ = io.WriteString(conn, okReply)
				}
			}
			reset(conn)
		}), nil)
		post(t, c)
		_, _, f := c.Post(t.Context(), nil, []byte(`{}`))
		if f.Err == nil || f.Reach != Written {
			t.Errorf("got %+v; want reach %d", f, Written)
		}
		if n := requests.Load(); n != 2 {
			t.Errorf("the receiver got %d requests; want 2", n)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		_, _, f := client(t, "http://"+l.Addr().String(), nil).Post(t.Context(), nil, []byte(`{}`))
		if f.Err == nil || f.Reach != NotReached {
			t.Errorf("got %+v; want reach %d", f, NotReached)
		}
	})
	t.Run("no answer in time", func(t *testing.T) {
		done := make(chan struct{})
		t.Cleanup(func() { close(done) })
		target := server(t, func(net.Conn) { <-done })
		_, _, f := client(t, target, func(o *Options) { o.Timeout = 100 * time.Millisecond }).Post(t.Context(), nil, []byte(`{}`))
		if !f.TimedOut || f.Reach != Written {
			t.Errorf("got %+v; want a timeout with reach %d", f, Written)
		}
	})
}

// A proxy compresses a response or puts a byte order mark in front, though nobody asked for it.
func TestResponseBodyIsCompressed(t *testing.T) {
	const text = `{"id":"a"}`
	for name, x := range map[string]struct {
		encoding string
		body     string
		want     string
	}{
		"plain":             {"", text, text},
		"byte order mark":   {"", "\ufeff" + text, text},
		"gzip":              {"gzip", compressed("gzip", text), text},
		"gzip with a mark":  {"x-gzip", compressed("gzip", "\ufeff"+text), text},
		"deflate":           {"deflate", compressed("deflate", text), text},
		"not gzip":          {"gzip", text, ""},
		"cut gzip":          {"gzip", compressed("gzip", text)[:15], ""},
		"unknown":           {"br", text, ""},
		"compression bomb":  {"gzip", compressed("gzip", strings.Repeat(" ", 10<<20)), ""},
		"identity, in caps": {"Identity", text, text},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if x.encoding != "" {
					w.Header().Set("Content-Encoding", x.encoding)
				}
				_, _ = io.WriteString(w, x.body)
			}))
			defer srv.Close()
			_, body, f := client(t, srv.URL, nil).Post(t.Context(), nil, []byte(`{}`))
			if f.Err != nil || string(body) != x.want {
				t.Errorf("got %q, failure %+v; want %q", body, f, x.want)
			}
		})
	}
}
