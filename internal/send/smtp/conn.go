package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"campaignd/internal/send"
	"campaignd/internal/send/idle"
)

// step is a step of the dialogue with the server (RFC 5321, 3).
type step int

const (
	stepConnect  step = iota // TCP
	stepTLS                  // the handshake
	stepGreeting             // greeting and EHLO
	stepStartTLS
	stepAuth
	stepSender    // MAIL FROM
	stepRecipient // RCPT TO
	stepData      // DATA
	stepContent   // until the end of the data
	stepEnd       // the end of the data is written: from here on the server may have accepted the message
)

// failure is the error that ended an attempt, and its step.
type failure struct {
	step      step
	err       error
	truncated bool // the end of the data was certainly not written
}

var (
	errNoStartTLS  = errors.New("the server offers no STARTTLS")
	errNoAuth      = errors.New("the server offers no way to log in")
	errNoMechanism = errors.New("the server offers no supported way to log in")
)

// trackedConn is the TCP connection. It records failed writes, limits replies and obeys a context.
type trackedConn struct {
	net.Conn
	broken   atomic.Bool  // a write failed, so nothing later was sent
	received atomic.Int64 // bytes read since bind

	mu       sync.Mutex // guards the fields below
	canceled bool       // the context has ended: the deadline stays in the past
	deadline time.Time  // the context's
}

// replyLimit limits the bytes of the server's replies during one bind. Package textproto reads
// lines of any length, so an endless reply would fill the memory.
const replyLimit = 1 << 20

var errEndlessReply = errors.New("the server's reply has no end")

// Read implements io.Reader.
func (w *trackedConn) Read(p []byte) (int, error) {
	if w.received.Load() >= replyLimit {
		return 0, errEndlessReply
	}
	n, err := idle.Read(w.Conn, p)
	w.received.Add(int64(n))
	return n, err
}

// Write implements io.Writer.
func (w *trackedConn) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

// bind makes ctx end reads and writes. The function that it returns undoes that, and reports
// whether ctx had not ended yet.
func (w *trackedConn) bind(ctx context.Context) (unbind func() bool) {
	at, _ := ctx.Deadline() // every attempt has a timeout
	w.mu.Lock()
	w.canceled, w.deadline = false, at
	w.mu.Unlock()
	w.received.Store(0)
	w.setTimeout(0)
	return context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.canceled = true
		_ = w.SetDeadline(time.Unix(1, 0)) // fails only on a closed connection
	})
}

// setTimeout limits the following reads and writes to d, or to the context's deadline if d is 0 or later.
func (w *trackedConn) setTimeout(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.deadline
	if sooner := time.Now().Add(d); d > 0 && sooner.Before(at) {
		at = sooner
	}
	if !w.canceled {
		_ = w.SetDeadline(at) // as above
	}
}

// conn is a connection that is ready for a message. Only one goroutine uses it at a time.
type conn struct {
	client *smtp.Client
	wire   *trackedConn
	size   int64     // the longest message that the server accepts, in bytes; 0: not announced
	utf8   bool      // it accepts non-ASCII addresses
	eight  bool      // it offers 8BITMIME
	piped  bool      // it offers PIPELINING (RFC 2920)
	used   time.Time // when it was returned to the pool
	tracer send.WireTracer
	dirty  bool // a transaction is unfinished
}

// connect makes a connection, with TLS and login as configured.
func (c *Channel) connect(ctx context.Context) (*conn, *failure) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, &failure{step: stepConnect, err: err}
	}
	w := &trackedConn{Conn: raw}
	unbind := w.bind(ctx)
	cn, failed := c.greet(ctx, w)
	if !unbind() && failed == nil {
		failed = &failure{step: stepGreeting, err: context.Cause(ctx)}
	}
	if failed != nil {
		_ = w.Close() // nothing was sent on it
		return nil, failed
	}
	return cn, nil
}

func (c *Channel) greet(ctx context.Context, w *trackedConn) (*conn, *failure) {
	var under net.Conn = w
	if c.security == TLS {
		secured := tls.Client(w, c.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, &failure{step: stepTLS, err: err}
		}
		under = secured
	}
	client, err := smtp.NewClient(under, c.host)
	if err == nil {
		if c.tracer != nil {
			client.SetLogger(wireLogger{c.tracer})
			client.SetDebugLog(true)
		}
		err = client.Hello(helloName(w.LocalAddr()))
	}
	if err != nil {
		return nil, &failure{step: stepGreeting, err: err}
	}
	if c.security == StartTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return nil, &failure{step: stepStartTLS, err: errNoStartTLS}
		}
		if err := client.StartTLS(c.tls); err != nil {
			return nil, &failure{step: stepStartTLS, err: err}
		}
	}
	if c.username != "" {
		if err := c.logIn(client); err != nil {
			return nil, &failure{step: stepAuth, err: err}
		}
	}
	cn := &conn{client: client, wire: w, tracer: c.tracer}
	cn.utf8, _ = client.Extension("SMTPUTF8")
	cn.eight, _ = client.Extension("8BITMIME")
	cn.piped, _ = client.Extension("PIPELINING")
	if has, limit := client.Extension("SIZE"); has { // RFC 1870
		cn.size, _ = strconv.ParseInt(strings.TrimSpace(limit), 10, 64)
	}
	return cn, nil
}

// logIn uses the simplest mechanism that the server offers. The connection is encrypted or stays
// on this machine, and servers often offer mechanisms that don't work.
func (c *Channel) logIn(client *smtp.Client) error {
	offered, text := client.Extension("AUTH")
	if !offered {
		return errNoAuth
	}
	ways := []struct {
		name string
		auth func() smtp.Auth
	}{
		{"PLAIN", func() smtp.Auth { return smtp.PlainAuth("", c.username, c.password, c.host, true) }},
		{"LOGIN", func() smtp.Auth { return smtp.LoginAuth(c.username, c.password, c.host, true) }},
		{"SCRAM-SHA-256", func() smtp.Auth { return smtp.ScramSHA256Auth(c.username, c.password) }},
		{"SCRAM-SHA-1", func() smtp.Auth { return smtp.ScramSHA1Auth(c.username, c.password) }},
		{"CRAM-MD5", func() smtp.Auth { return smtp.CRAMMD5Auth(c.username, c.password) }},
	}
	names := strings.Fields(strings.ToUpper(text))
	for _, way := range ways {
		for _, name := range names {
			if name == way.name {
				return client.Auth(way.auth())
			}
		}
	}
	return errNoMechanism
}

// helloName returns our name for EHLO: the host's full name, otherwise its address
// (RFC 5321, 4.1.4). Many servers refuse a name without a domain such as "localhost".
func helloName(local net.Addr) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") && ascii(name) && checkDomain([]byte(name)) == nil {
		return name
	}
	if a, ok := local.(*net.TCPAddr); ok {
		if a.IP.To4() != nil {
			return "[" + a.IP.String() + "]"
		}
		return "[IPv6:" + a.IP.String() + "]"
	}
	return "localhost"
}

// quit sends QUIT, waits for at most quitTimeout, and closes the connection.
func (cn *conn) quit() {
	_ = cn.wire.SetDeadline(time.Now().Add(quitTimeout))
	_ = cn.client.Quit() // the connection is closed in any case
	_ = cn.wire.Close()
}

// abort closes the connection at once.
func (cn *conn) abort() { _ = cn.wire.Close() }
