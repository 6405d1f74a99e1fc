package webhook

import (
	"bufio"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"campaignd/internal/send"
)

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

func post(t *testing.T, c *Channel, want send.Verdict) {
	t.Helper()
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{message()}, results)
	if results[0].Verdict != want {
		t.Fatalf("result %+v; want verdict %d", results[0], want)
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
	c, err := New(Options{URL: srv.URL, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	c.pool.tls.RootCAs = roots
	for range 3 {
		post(t, c, send.VerdictSent)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for three messages one after another", n)
	}
	srv.CloseClientConnections()
	l := c.pool.idle[0]
	for end := time.Now().Add(10 * time.Second); stillOpen(l.raw); {
		if time.Now().After(end) {
			t.Fatal("the closed connection seems open")
		}
	}
	l.idleSince = time.Time{} // idle for longer than freshFor
	post(t, c, send.VerdictSent)
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections; want a second one", n)
	}
}

func TestEndedConnectionIsUsedAgain(t *testing.T) {
	for name, reply := range map[string]string{
		"the receiver says so":    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.0":                "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"something comes after":   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n",
		"the body has no end":     "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
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
			l := newConn(near, near)
			defer l.Close()
			_, _, again, f := l.exchange(t.Context(), []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
			if again || f.err != nil {
				t.Errorf("again %v, fault %+v", again, f)
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
		l := newConn(near, near)
		resp, _, _, f := l.exchange(t.Context(), []byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
		if f.err != nil || resp.StatusCode != want {
			t.Errorf("after %d interim answers: status %v, fault %+v; want %d", n, resp, f, want)
		}
		_ = l.Close()
	}
}
