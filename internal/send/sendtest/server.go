package sendtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campaignd/internal/send"
)

// server is a receiver that behaves as the case says, byte by byte if necessary.
type server struct {
	t           *testing.T
	what        Case
	reply       string
	listener    net.Listener
	scheme      string
	requests    atomic.Int64
	connections atomic.Int64
	reached     chan struct{} // closed at the first complete request
	release     chan struct{} // closed when a held answer may go out
	once        sync.Once
	wg          sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
	ended bool
}

func newServer(t *testing.T, what Case, reply string) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	s := &server{t: t, what: what, reply: reply, listener: l, scheme: "http", reached: make(chan struct{}), release: make(chan struct{}), conns: map[net.Conn]bool{}}
	switch what {
	case BadCertificate:
		// httptest's certificate is self-signed.
		own := httptest.NewUnstartedServer(nil)
		own.StartTLS()
		s.listener, s.scheme = tls.NewListener(l, own.TLS), "https"
		own.Close()
	case PlainAsTLS, ResetBefore:
		s.scheme = "https" // during the handshake nothing of a request can have been written
	case Refused:
		_ = l.Close() // nobody listens on the port any more
	}
	if what != Refused {
		s.wg.Go(s.accept)
	}
	t.Cleanup(s.Close)
	return s
}

// URL returns the server's base URL.
func (s *server) URL() string { return s.scheme + "://" + s.listener.Addr().String() }

// Close ends the server and all its connections.
func (s *server) Close() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	_ = s.listener.Close() // at worst it is closed twice
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			_ = c.Close()
			return
		}
		s.conns[c] = true
		s.mu.Unlock()
		s.connections.Add(1)
		s.wg.Go(func() {
			defer func() {
				_ = c.Close()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
			}()
			s.serve(c)
		})
	}
}

// reset closes the connection with a reset instead of an end.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// serve answers the requests of one connection until it or the case ends.
func (s *server) serve(c net.Conn) {
	if s.what == ResetBefore {
		reset(c)
		return
	}
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			if s.what == PlainAsTLS {
				_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\nno TLS here") // like net/http's server
			}
			return
		}
		if s.what == TooLarge {
			s.answer(c, 413, "Connection: close\r\n", "")
			_, _ = io.Copy(io.Discard, c) // so that the answer isn't lost to a reset
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		s.requests.Add(1)
		s.once.Do(func() { close(s.reached) })
		if !s.respond(c, in) {
			return
		}
	}
}

// answer writes a complete reply.
func (s *server) answer(c net.Conn, status int, header, body string) bool {
	_, err := fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		status, http.StatusText(status), len(body), header, body)
	return err == nil
}

// respond does what the case says and reports whether the connection continues.
func (s *server) respond(c net.Conn, in *bufio.Reader) bool {
	const errorBody = `{"error":"the contact 34666111222 is on fire"}` // must not appear in a detail
	switch s.what {
	case Success, PlainAsTLS, BadCertificate:
		return s.answer(c, 200, "", s.reply)
	case Accepted:
		return s.answer(c, 202, "", "")
	case heldAnswer:
		<-s.release
		return s.answer(c, 200, "", s.reply)
	case expired:
		if s.requests.Load() == 2 {
			return s.answer(c, 401, "", errorBody)
		}
		return s.answer(c, 200, "", s.reply)
	case SlowServer, CutOff:
		_, _ = in.ReadByte() // waits until the other side gives up
		return false
	case ResetAfter:
		reset(c)
		return false
	case HalfReply:
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le")
		return false
	case HalfBody:
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n%s", s.reply)
		return false
	case Garbage:
		_, _ = io.WriteString(c, "220 34666111222.example ESMTP\r\n\r\n")
		return false
	case HugeBody:
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
		for block := strings.Repeat(" ", 64<<10); ; {
			if _, err := io.WriteString(c, block); err != nil {
				return false
			}
		}
	case HugeHeader:
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for block := "X-Long: " + strings.Repeat("x", 8<<10) + "\r\n"; ; {
			if _, err := io.WriteString(c, block); err != nil {
				return false
			}
		}
	case Throttled:
		return s.answer(c, 429, "", errorBody)
	case ThrottledSeconds:
		return s.answer(c, 429, "Retry-After: 7\r\n", errorBody)
	case ThrottledDate:
		return s.answer(c, 429, "Retry-After: "+time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)+"\r\n", errorBody)
	case Unavailable:
		return s.answer(c, 503, "Retry-After: 7\r\n", errorBody)
	case Redirect:
		return s.answer(c, 307, "Location: "+s.URL()+"/elsewhere?contact=34666111222\r\n", "")
	}
	for what, status := range map[Case]int{ServerError: 500, Unauthorized: 401, Forbidden: 403, BadRequest: 400, NotFound: 404, Unprocessable: 422} {
		if s.what == what {
			return s.answer(c, status, "", errorBody)
		}
	}
	s.t.Errorf("sendtest has no server for %q", s.what)
	return false
}

// one runs one case.
func (d Driver) one(t *testing.T, what Case, want Want) {
	s := newServer(t, what, d.Reply)
	timeout := answerTimeout
	if what == SlowServer {
		timeout = 2 * time.Second
	}
	c := d.New(t, s.URL(), timeout)
	defer closed(t, c)
	m := d.message(t, c, 1)
	if what == TooLarge {
		m.Content = []byte(`{"body":"` + strings.Repeat("x", 8<<20) + `"}`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch what {
	case Canceled:
		cancel()
	case CutOff:
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			select {
			case <-s.reached:
				cancel()
			case <-stop:
			}
		}()
	}
	res := once(t, ctx, c, m)
	check(t, res, want)
	for _, text := range []string{res.Detail, res.Code, res.Said} {
		if strings.Contains(text, "34666111222") || d.Contact != "" && strings.Contains(text, d.Contact) {
			t.Errorf("the result contains contact data: %q", text)
		}
	}
	if n := s.requests.Load(); n > 1 {
		t.Errorf("%d requests for one attempt", n)
	}
	if want.Verdict == send.VerdictSent && what != Canceled && d.Count == nil && s.requests.Load() != 1 {
		t.Errorf("%d requests for one sent message", s.requests.Load())
	}
}
