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
)

// step is how far the dialogue with the server has come (RFC 5321, 3).
type step int

const (
	stepConnect  step = iota // TCP
	stepTLS                  // the handshake
	stepGreeting             // until the server is ready for a message
	stepStartTLS
	stepAuth
	stepSender    // MAIL FROM
	stepRecipient // RCPT TO
	stepData      // DATA
	stepContent   // until the end of the data
	stepEnd       // the end of the data is written: from here on the message may be the server's
)

// failure is what ended an attempt, and where.
type failure struct {
	at  step
	err error
	cut bool // the end of the data surely was not written
}

var (
	errNoStartTLS  = errors.New("the server offers no STARTTLS")
	errNoAuth      = errors.New("the server offers no way to log in")
	errNoMechanism = errors.New("the server offers no way to log in that is known here")
)

// wire is the bare connection. It knows whether everything that was written to
// it went out, and it obeys a context.
type wire struct {
	net.Conn
	broken atomic.Bool  // a write failed, so nothing after it was sent
	heard  atomic.Int64 // bytes read since it was bound

	mu    sync.Mutex // guards what follows
	ended bool       // the context did: no deadline but the past
	at    time.Time  // the context's deadline
}

// heardLimit is the most bytes that a server may say in one go: a reply without an end must not
// fill the memory, and package textproto reads lines however long they are.
const heardLimit = 1 << 20

var errTalks = errors.New("the server's reply has no end")

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	if w.heard.Load() >= heardLimit {
		return 0, errTalks
	}
	n, err := w.Conn.Read(p)
	w.heard.Add(int64(n))
	return n, err
}

// Write implements io.Writer.
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

// bind has ctx end what happens on the wire. The function that it returns unbinds,
// and reports whether ctx had left the wire alone.
func (w *wire) bind(ctx context.Context) (unbind func() bool) {
	at, _ := ctx.Deadline() // there is one: every attempt has its timeout
	w.mu.Lock()
	w.ended, w.at = false, at
	w.mu.Unlock()
	w.heard.Store(0)
	w.within(0)
	return context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
		_ = w.SetDeadline(time.Unix(1, 0)) // fails on a closed connection alone
	})
}

// within limits what comes to d, or to what the context has left if d is 0 or more than that.
func (w *wire) within(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.at
	if sooner := time.Now().Add(d); d > 0 && sooner.Before(at) {
		at = sooner
	}
	if !w.ended {
		_ = w.SetDeadline(at) // as above
	}
}

// conn is a connection that is ready for a message. One goroutine uses it at a time.
type conn struct {
	client *smtp.Client
	wire   *wire
	size   int64     // the longest message that the server takes; 0: it doesn't say
	utf8   bool      // it takes addresses beyond ASCII
	used   time.Time // when it was given back
	tap    send.WireTracer
	dirty  bool // a transaction was left half done
}

// connect makes a connection, secured and logged in as configured.
func (c *Channel) connect(ctx context.Context) (*conn, *failure) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, &failure{at: stepConnect, err: err}
	}
	w := &wire{Conn: raw}
	unbind := w.bind(ctx)
	cn, failed := c.greet(ctx, w)
	if !unbind() && failed == nil {
		failed = &failure{at: stepGreeting, err: context.Cause(ctx)}
	}
	if failed != nil {
		_ = w.Close() // there is nothing on it that could be lost
		return nil, failed
	}
	return cn, nil
}

func (c *Channel) greet(ctx context.Context, w *wire) (*conn, *failure) {
	var under net.Conn = w
	if c.security == TLS {
		secured := tls.Client(w, c.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, &failure{at: stepTLS, err: err}
		}
		under = secured
	}
	client, err := smtp.NewClient(under, c.host)
	if err == nil {
		if c.tap != nil {
			client.SetLogger(dialogue{c.tap})
			client.SetDebugLog(true)
		}
		err = client.Hello(ourName(w.LocalAddr()))
	}
	if err != nil {
		return nil, &failure{at: stepGreeting, err: err}
	}
	if c.security == StartTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return nil, &failure{at: stepStartTLS, err: errNoStartTLS}
		}
		if err := client.StartTLS(c.tls); err != nil {
			return nil, &failure{at: stepStartTLS, err: err}
		}
	}
	if c.username != "" {
		if err := c.logIn(client); err != nil {
			return nil, &failure{at: stepAuth, err: err}
		}
	}
	cn := &conn{client: client, wire: w, tap: c.tap}
	cn.utf8, _ = client.Extension("SMTPUTF8")
	if has, limit := client.Extension("SIZE"); has { // RFC 1870
		cn.size, _ = strconv.ParseInt(strings.TrimSpace(limit), 10, 64)
	}
	return cn, nil
}

// logIn picks the plainest way that the server offers: the connection is secured, or
// goes to this machine, and servers offer others that they can't do more often than one thinks.
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

// ourName is what we call ourselves in EHLO: the host's full name, or its address where it has none
// (RFC 5321, 4.1.4). Many servers refuse a bare name such as "localhost".
func ourName(local net.Addr) string {
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

// quit says goodbye, for a short while, and ends the connection.
func (cn *conn) quit() {
	_ = cn.wire.SetDeadline(time.Now().Add(farewell))
	_ = cn.client.Quit() // a server that doesn't answer is left all the same
	_ = cn.wire.Close()
}

// drop ends the connection at once.
func (cn *conn) drop() { _ = cn.wire.Close() }
