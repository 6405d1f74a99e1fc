package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	server "github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send"
	"campaignd/internal/send/sendtest"
)

// TestConformance runs the part of the suite that isn't about HTTP, against emersion/go-smtp.
func TestConformance(t *testing.T) {
	box := newTestServer(t, func(b *testServer) { b.keep = false })
	unreachable := sendtest.Want{Verdict: send.VerdictUnreachable}
	sendtest.Run(t, sendtest.Driver{
		New: func(t *testing.T, address string, timeout time.Duration) send.Channel {
			o := options(box.port)
			o.Concurrency, o.Timeout = 8, timeout
			if strings.Contains(t.Name(), "refused") || strings.Contains(t.Name(), "reset") {
				u, err := url.Parse(address)
				if err != nil {
					t.Fatal(err)
				}
				o.Port, _ = strconv.Atoi(u.Port())
			}
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Item: `{"subject":"Hello","text":"Hello {{name}}","html":"<p>Hello {{name}}</p>"}`, Contact: testContact,
		Count: func() int { return int(box.count.Load()) },
		Cases: map[sendtest.Case]sendtest.Want{
			sendtest.Success:     {Verdict: send.VerdictSent, ProviderID: "20260102-000001-3-1-0123abcd@example.com"},
			sendtest.Refused:     unreachable,
			sendtest.ResetBefore: unreachable,
			sendtest.Canceled:    unreachable,
		},
	})
	if n := box.connections.Load(); n > 8*6 {
		t.Errorf("%d connections for 6 channels of 8 at most", n)
	}
}

// 10,000 messages in a row need one connection.
func TestConnectionIsNotReused(t *testing.T) {
	box := newTestServer(t, func(b *testServer) { b.keep = false })
	o := options(box.port)
	o.Concurrency = 1
	c := channel(t, o)
	n := 10_000
	if testing.Short() {
		n /= 10
	}
	m := hello(t)
	results := make([]send.Result, 1)
	began := time.Now()
	for i := range n {
		if c.Send(t.Context(), []*send.Message{m}, results); results[0].Verdict != send.VerdictSent {
			t.Fatalf("message %d: %+v", i, results[0])
		}
	}
	t.Logf("%.0f messages a second", float64(n)/time.Since(began).Seconds())
	if got := box.count.Load(); got != int64(n) || box.connections.Load() != 1 {
		t.Errorf("%d messages over %d connections; want %d over 1", got, box.connections.Load(), n)
	}
}

// Many messages at once never use more connections than concurrency, and all are sent.
func TestMoreConnectionsThanConcurrency(t *testing.T) {
	box := newTestServer(t, nil)
	o := options(box.port)
	o.Concurrency, o.Timeout = 3, 10*time.Second
	c := channel(t, o)
	var wg sync.WaitGroup
	for range 50 {
		m := hello(t)
		wg.Go(func() {
			if res := try(t, c, m); res.Verdict != send.VerdictSent {
				t.Errorf("%+v", res)
			}
		})
	}
	wg.Wait()
	if n := box.connections.Load(); n > 3 {
		t.Errorf("%d connections; 3 are allowed", n)
	}
}

// A kept connection that the server has closed is replaced at once, whether it announced
// that or not, and the message is sent once.
func TestServerClosesIdleConnection(t *testing.T) {
	for name, first := range map[string]map[string]string{
		"closed after a message": with("end", "250 Ok"+hangUp),
		"421 at the next":        usual(), // its MAIL is changed below
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, first, usual())
			c := channel(t, options(s.port))
			if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent {
				t.Fatalf("%+v", res)
			}
			if strings.HasPrefix(name, "421") {
				first["MAIL"] = "421 4.4.2 idle too long" + hangUp
			}
			if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent {
				t.Errorf("%+v", res)
			}
			if s.connections.Load() != 2 || s.ended.Load() != 2 {
				t.Errorf("%d connections, %d messages; want 2 and 2", s.connections.Load(), s.ended.Load())
			}
		})
	}
}

// A server that refuses another message on a connection, in the middle of a session, costs a new
// connection and nothing else. If the new one answers the same, that is the verdict.
func TestServerRefusesMoreMessagesOnAConnection(t *testing.T) {
	for answer, want := range map[string]send.Verdict{"452 4.5.3 Too many messages in this session": send.VerdictThrottled, "503 5.5.1 nested MAIL": send.VerdictHold} {
		t.Run(answer[:3], func(t *testing.T) {
			first, refuses := usual(), with("MAIL", answer)
			first["MAIL 2"] = answer // on the second MAIL of the connection
			s := newScript(t, first, usual(), refuses)
			c := channel(t, options(s.port))
			for i := range 2 {
				if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent {
					t.Fatalf("message %d: got %+v; want sent", i, res)
				}
			}
			if s.connections.Load() != 2 || s.ended.Load() != 2 {
				t.Errorf("got %d connections, %d messages; want 2 and 2", s.connections.Load(), s.ended.Load())
			}
			c.pool.End()
			if res := try(t, channel(t, options(s.port)), hello(t)); res.Verdict != want {
				t.Errorf("got %+v on a new connection; want verdict %d", res, want)
			}
		})
	}
}

// A server that closes every connection gets one more per attempt.
func TestServerClosesEveryConnection(t *testing.T) {
	s := newScript(t, with("end", "250 Ok"+hangUp), with("MAIL", hangUp))
	c := channel(t, options(s.port))
	if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent {
		t.Fatalf("%+v", res)
	}
	switch res := try(t, c, hello(t)); {
	case res.Verdict != send.VerdictRetry:
		t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictRetry)
	case s.connections.Load() != 2:
		t.Errorf("s.connections.Load() = %v, want 2", s.connections.Load())
	}
}

// A refused recipient doesn't cost a connection, and doesn't affect the next transaction.
func TestRefusalCostsAConnection(t *testing.T) {
	box := newTestServer(t, func(b *testServer) {
		b.atRcpt = func(to string) error {
			if strings.HasPrefix(to, "nobody") {
				return &server.SMTPError{Code: 550, EnhancedCode: server.EnhancedCode{5, 1, 1}, Message: "no " + to}
			}
			return nil
		}
	})
	c := channel(t, options(box.port))
	for i := range 10 {
		m, want := hello(t), send.VerdictSent
		if i%2 == 0 {
			m.ContactCode, want = "nobody@mail.example", send.VerdictBadRecipient
		}
		if res := try(t, c, m); res.Verdict != want {
			t.Errorf("message %d: %+v", i, res)
		}
	}
	if box.connections.Load() != 1 || box.count.Load() != 5 {
		t.Errorf("%d connections, %d messages; want 1 and 5", box.connections.Load(), box.count.Load())
	}
}

// A connection that was idle is checked before use. A dead one is replaced within the attempt.
func TestDeadIdleConnection(t *testing.T) {
	for name, answer := range map[string]string{"alive": "250 Ok", "dead": mute, "gone": hangUp, "refuses": "451 no"} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, with("RSET", answer), usual())
			c := channel(t, options(s.port))
			if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent {
				t.Fatalf("%+v", res)
			}
			cn, _ := c.pool.Get()
			cn.used = time.Now().Add(-checkIdleAfter)
			c.pool.Put(cn)
			want := int64(2)
			if name == "alive" {
				want = 1
			}
			if res := try(t, c, hello(t)); res.Verdict != send.VerdictSent || s.connections.Load() != want {
				t.Errorf("%+v over %d connections; want %d", res, s.connections.Load(), want)
			}
		})
	}
}

// Valid and invalid credentials, with and without TLS.
func TestLogIn(t *testing.T) {
	cert, roots := sendtest.Certificate(t, nil)
	for _, security := range []string{NoTLS, StartTLS, TLS} {
		box := newTestServer(t, func(b *testServer) {
			b.AllowInsecureAuth = security == NoTLS
			b.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		})
		if security == TLS {
			box = secured(t, cert)
		}
		o := options(box.port)
		o.TLS, o.Roots, o.Username, o.Password = security, roots, "shop", "hunter2"
		if res := try(t, channel(t, o), hello(t)); res.Verdict != send.VerdictSent {
			t.Errorf("%s: %+v", security, res)
		}
		o.Password = "hunter3"
		res := try(t, channel(t, o), hello(t))
		switch {
		case res.Verdict != send.VerdictHold:
			t.Errorf("%s with a wrong password: res.Verdict: got %v, want %v", security, res.Verdict, send.VerdictHold)
		case res.Hold != send.HoldChannel:
			t.Errorf("%s with a wrong password: res.Hold: got %v, want %v", security, res.Hold, send.HoldChannel)
		case res.Code != "535 5.7.8":
			t.Errorf(`%s with a wrong password: res.Code: got %q, want "535 5.7.8"`, security, res.Code)
		case !strings.Contains(res.Detail, "check username and password_file"):
			t.Errorf(`%s with a wrong password: res.Detail: got %q, want "check username and password_file" in it`, security, res.Detail)
		}
	}
}

// secured returns a test server that speaks TLS from the first byte.
func secured(t *testing.T, cert tls.Certificate) *testServer {
	t.Helper()
	box := newTestServer(t, nil)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	box.port = l.Addr().(*net.TCPAddr).Port
	done := make(chan struct{})
	go func() { _ = box.Serve(l); close(done) }()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return box
}

// Each reason why a connection can't be secured has its own text.
func TestConnectionCantBeSecured(t *testing.T) {
	cert, roots := sendtest.Certificate(t, nil)
	offers := func(b *testServer) { b.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} }
	old := func(b *testServer) {
		b.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	}
	expired, expiredRoots := sendtest.Certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	fails := func(cert tls.Certificate, auth tls.ClientAuthType) int {
		return sendtest.FailsTLS(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: auth}).Port
	}
	start := func(answers ...string) int {
		return newScript(t, with(append([]string{"EHLO", "250-mail.example\r\n250 STARTTLS"}, answers...)...)).port
	}
	for _, c := range []struct {
		name     string
		port     int
		security string
		adjust   func(*Options)
		hold     bool
		says     string
	}{
		{"STARTTLS missing", newTestServer(t, nil).port, StartTLS, nil, true, "no STARTTLS"},
		{"nobody trusts it", newTestServer(t, offers).port, StartTLS, nil, true, " is not valid: "},
		{"nobody trusts it, TLS", secured(t, cert).port, TLS, nil, true, " is not valid: "},
		{"another name", newTestServer(t, offers).port, StartTLS, func(o *Options) { o.Host, o.Roots = "localhost", roots }, true, " is not valid: "},
		{"old TLS", newTestServer(t, old).port, StartTLS, func(o *Options) { o.Roots = roots }, true, "TLS 1.2"},
		{"expired", fails(expired, tls.NoClientCert), TLS, func(o *Options) { o.Roots = expiredRoots }, true, "have it renewed"},
		{"wants a client certificate", fails(cert, tls.RequireAnyClientCert), TLS, func(o *Options) { o.Roots = roots }, true, "asks for a client certificate"},
		{"no certificate at all", sendtest.FailsTLS(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}).Port,
			TLS, nil, false, "tls: internal error"},
		{"plain where TLS is asked for", newTestServer(t, nil).port, TLS, nil, true, "doesn't speak TLS"},
		{"TLS where plain is asked for", secured(t, cert).port, NoTLS, func(o *Options) { o.Timeout = 300 * time.Millisecond }, false, ""},
		{"STARTTLS refused for now", start("STARTTLS", "454 4.7.0 not now"), StartTLS, nil, false, "STARTTLS"},
		{"STARTTLS refused", start("STARTTLS", "502 5.5.1 no"), StartTLS, nil, true, "STARTTLS"},
		{"no TLS after STARTTLS", start("STARTTLS", "220 go\r\n250 banana"), StartTLS, nil, true, "TLS"},
		{"closed after STARTTLS", start("STARTTLS", "220 go"+hangUp), StartTLS, nil, false, "securing"},
		{"no AUTH", newScript(t, usual()).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, true, "no login"},
		{"no AUTH that is known", newScript(t, with("EHLO", "250-x\r\n250 AUTH GSSAPI")).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, true, "no supported login"},
		{"AUTH refused for now", newScript(t, with("EHLO", "250-x\r\n250 AUTH LOGIN PLAIN", "AUTH", "454 4.7.0 database down")).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, false, "deferred the credentials"},
		{"AUTH closed", newScript(t, with("EHLO", "250-x\r\n250 AUTH LOGIN", "AUTH", hangUp)).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, false, "logging in"},
		{"AUTH nonsense", newScript(t, with("EHLO", "250-x\r\n250 AUTH SCRAM-SHA-256", "AUTH", "334 AAAA")).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, true, "interrupted"},
		{"AUTH CRAM-MD5 refused", newScript(t, with("EHLO", "250-x\r\n250 AUTH CRAM-MD5", "AUTH", "535 5.7.8 no")).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, true, "credentials"},
		{"AUTH SCRAM-SHA-1 refused", newScript(t, with("EHLO", "250-x\r\n250 AUTH SCRAM-SHA-1", "AUTH", "535 5.7.8 no")).port, NoTLS, func(o *Options) { o.Username, o.Password = "shop", "hunter2" }, true, "credentials"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(c.port)
			o.TLS = c.security
			if c.adjust != nil {
				c.adjust(&o)
			}
			got := try(t, channel(t, o), hello(t))
			want := send.Result{Verdict: send.VerdictUnreachable}
			if c.hold {
				want = send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel}
			}
			if diff := cmp.Diff(want, send.Result{Verdict: got.Verdict, Hold: got.Hold}); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if !strings.Contains(got.Detail, c.says) {
				t.Errorf("got detail %q, want %q in it", got.Detail, c.says)
			}
		})
	}
}

// A message longer than the announced SIZE isn't offered, and a refusal in the middle of
// the data is read.
func TestMessageIsTooLong(t *testing.T) {
	long := message(t, content{Subject: "Hello", Text: strings.Repeat("words and words\n", 1<<15)})
	box := newTestServer(t, func(b *testServer) { b.MaxMessageBytes = 100_000 })
	c := channel(t, options(box.port))
	for range 2 { // the second one on a kept connection
		switch res := try(t, c, long); {
		case res.Verdict != send.VerdictPermanent:
			t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictPermanent)
		case !strings.Contains(res.Detail, "takes at most 100000"):
			t.Errorf("res.Detail = %q, want \"takes at most 100000\" in it", res.Detail)
		}
	}
	switch res := try(t, c, hello(t)); {
	case res.Verdict != send.VerdictSent:
		t.Errorf("after it: res.Verdict = %v, want %v", res.Verdict, send.VerdictSent)
	case box.connections.Load() != 1:
		t.Errorf("after it: box.connections.Load() = %v, want 1", box.connections.Load())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "220 x\r\n250 x\r\n250 Ok\r\n250 Ok\r\n354 go on\r\n552 5.3.4 too long\r\n")
		_, _ = io.CopyN(io.Discard, conn, 1000)
	}()
	if res := try(t, channel(t, options(l.Addr().(*net.TCPAddr).Port)), long); res.Verdict != send.VerdictPermanent && res.Verdict != send.VerdictRetry {
		t.Errorf("refused in the middle: %+v", res)
	}
	_ = l.Close()
	<-done
}

// The tracer gets the dialogue without the login.
func TestTracerGetsTheLogin(t *testing.T) {
	box := newTestServer(t, func(b *testServer) { b.AllowInsecureAuth = true })
	o := options(box.port)
	o.Username, o.Password = "shop", "hunter2"
	var seen send.Transcript
	o.Tracer = seen.Tracer
	c := channel(t, o)
	if r := try(t, c, hello(t)); r.Verdict != send.VerdictSent {
		t.Fatalf("%+v", r)
	}
	request, reply := seen.Texts()
	for _, word := range []string{"EHLO ", "MAIL FROM:<", "RCPT TO:<", "DATA", "Subject: Hello", "Message-ID: <"} {
		if !strings.Contains(request, word) {
			t.Errorf("%q is not in the request:\n%s", word, request)
		}
	}
	if n := strings.Count(reply, "250 "); n < 4 {
		t.Errorf("the reply:\n%s", reply)
	}
	login := base64.StdEncoding.EncodeToString([]byte("\x00shop\x00hunter2"))
	if strings.Contains(request, "hunter2") || strings.Contains(request, login) {
		t.Errorf("got the login in the trace:\n%s", request)
	}
}
